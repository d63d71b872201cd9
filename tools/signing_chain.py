"""Make a key and certificates for signing downloads: `python -m tools.signing_chain FOLDER`.

Writes `key.pem` and `chain.pem` (for LIKENESS_C2PA_KEY and LIKENESS_C2PA_CHAIN), and `root.pem`,
which others give to their C2PA reader to trust these pictures. The root's own key is kept nowhere:
it can never certify anything else.
"""

from __future__ import annotations

import argparse
import os
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID


def main(arguments: list[str] | None = None) -> int:
    """Write the three files; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.signing_chain", description=__doc__)
    parser.add_argument("folder", type=Path, help="made where it is missing; no file is replaced")
    parser.add_argument("--years", type=int, default=5, choices=range(1, 21), metavar="1-20")
    parser.add_argument("--name", default="Likeness", help="whom readers show as the signer")
    chosen = parser.parse_args(arguments)
    try:
        write(chosen.folder, chosen.name, timedelta(days=365 * chosen.years))
    except (OSError, ValueError) as why:
        print(f"No chain was made: {why}", file=sys.stderr)
        return 2
    folder = chosen.folder.absolute()
    print(f"LIKENESS_C2PA_KEY={folder / 'key.pem'}\nLIKENESS_C2PA_CHAIN={folder / 'chain.pem'}")
    return 0


def write(folder: Path, name: str, life: timedelta, start: datetime | None = None) -> None:
    """A root and a certificate below it, on P-256, readable by their owner alone.

    start: from when they are valid; now by default, less an hour for clocks that differ.

    Raises:
        OSError: a file is there already, or cannot be written. ValueError: not a name.
    """
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    span = (start or datetime.now(UTC) - timedelta(hours=1), life)
    root = _certificate(f"{name} root", name, root_key, None, span)
    leaf = _certificate(name, name, key, (root, root_key), span)
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    root_pem = root.public_bytes(Encoding.PEM)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file, content in (
        ("key.pem", secret),
        ("chain.pem", leaf.public_bytes(Encoding.PEM) + root_pem),
        ("root.pem", root_pem),
    ):
        opened = os.open(folder / file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(opened, "wb") as target:
            target.write(content)


def _certificate(
    common: str,
    organisation: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    span: tuple[datetime, timedelta],
) -> x509.Certificate:
    """issuer: None for a root, which issues itself."""
    root = issuer is None
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation),
        ]
    )
    issued_by, issuer_key = (issuer[0].subject, issuer[1]) if issuer else (subject, key)
    public = key.public_key()
    start, life = span
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issued_by)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + life)
        .add_extension(x509.BasicConstraints(ca=root, path_length=0 if root else None), True)
        .add_extension(_usage(root), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), False
        )
    )
    if not root:
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(uses, False)
    return builder.sign(issuer_key, SHA256())


def _usage(root: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not root,
        key_cert_sign=root,
        crl_sign=root,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


if __name__ == "__main__":
    sys.exit(main())
