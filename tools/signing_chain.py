"""Make a key and certificates for signing downloads: `python -m tools.signing_chain FOLDER`.

Writes `key.pem` and `chain.pem` (for LIKENESS_C2PA_KEY and LIKENESS_C2PA_CHAIN), and `root.pem`,
which others give to their C2PA reader to trust these pictures. The root's own key is kept nowhere:
it can never certify anything else.
"""

from __future__ import annotations

import argparse
import sys
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools import certificates


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
    span = (start, life) if start else certificates.from_now(life)
    root = _certificate(f"{name} root", name, root_key, None, span)
    leaf = _certificate(name, name, key, (root, root_key), span)
    root_pem = root.public_bytes(Encoding.PEM)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for file, content in (
        ("key.pem", certificates.key_pem(key)),
        ("chain.pem", leaf.public_bytes(Encoding.PEM) + root_pem),
        ("root.pem", root_pem),
    ):
        certificates.write_new(folder / file, content)


def _certificate(
    common: str,
    organisation: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None,
    span: certificates.Span,
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
    builder = certificates.builder(subject, issued_by, key, issuer_key, span)
    if not root:
        uses = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(uses, False)
    return builder.sign(issuer_key, SHA256())


if __name__ == "__main__":
    sys.exit(main())
