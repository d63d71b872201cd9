"""What certificates that tools make have in common: P-256, and files for their owner alone."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Span = tuple[datetime, timedelta]
"""From when, and for how long."""


def from_now(life: timedelta) -> Span:
    """Valid from now on, less an hour for clocks that differ."""
    return datetime.now(UTC) - timedelta(hours=1), life


def builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer_key: ec.EllipticCurvePrivateKey,
    span: Span,
) -> x509.CertificateBuilder:
    """A certificate to be completed and signed; an authority's issuer is itself."""
    authority, public, (start, life) = key is issuer_key, key.public_key(), span
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(authority, 0 if authority else None), True)
        .add_extension(_usage(authority), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )


def key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """The key as text, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def write_new(path: Path, content: bytes) -> None:
    """Write a file that only its owner can read.

    Raises:
        FileExistsError: it is there already.
    """
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "wb") as target:
        target.write(content)


def _usage(authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
