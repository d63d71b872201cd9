"""Who belongs to a cluster: `python -m tools.cluster_certs FOLDER front=10.0.0.5 gpu-1=10.0.0.6`.

Makes the cluster's authority and Ray's token in FOLDER at the first call, and for each machine a
folder of its own to be copied there, with `cluster.toml` for LIKENESS_CLUSTER. A later call adds
machines. FOLDER has the authority's key: whoever has that can add machines, so it stays with the
operator, on none of them.
"""

from __future__ import annotations

import argparse
import ipaddress
import os
import re
import secrets
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_MACHINE = re.compile(r"([a-z0-9][a-z0-9-]{0,40})=([A-Za-z0-9.:-]+)")
_LIFE = timedelta(days=825)

_TOML = """\
# For LIKENESS_CLUSTER. Readable by its owner alone. docs/cluster.md
address = "{front}:6379"
authority = "authority.pem"
certificate = "machine.pem"
key = "machine.key"
token = "token"
# On the front, where Ray has a user of its own:
# agent = "/run/likeness-ray/agent.sock"
drained = []
"""


def main(arguments: list[str] | None = None) -> int:
    """Write the folders; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.cluster_certs", description=__doc__)
    parser.add_argument("folder", type=Path, help="of the authority; made where it is missing")
    parser.add_argument(
        "machines", nargs="+", metavar="NAME=ADDRESS", help="the first is the front"
    )
    chosen = parser.parse_args(arguments)
    try:
        machines = [_machine(text) for text in chosen.machines]
        for folder in write(chosen.folder, machines):
            print(folder)
    except (OSError, ValueError) as why:
        print(f"Nothing was made: {why}", file=sys.stderr)
        return 2
    return 0


def write(folder: Path, machines: list[tuple[str, str]]) -> list[Path]:
    """The folders of these machines, names and addresses, and the authority if there is none.

    Raises:
        OSError: a machine's folder is there already, or cannot be written.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    authority, key = _authority(folder)
    front = folder / "front-address"
    if not front.exists():
        _keep(front, machines[0][1].encode())
    if not (folder / "token").exists():
        _keep(folder / "token", secrets.token_hex(32).encode())
    token, made = (folder / "token").read_bytes(), []
    for name, address in machines:
        own = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, address, own, authority, key)
        home = folder / name
        home.mkdir(mode=0o700)
        _keep(home / "authority.pem", authority.public_bytes(Encoding.PEM))
        _keep(home / "machine.pem", certificate.public_bytes(Encoding.PEM))
        _keep(home / "machine.key", _secret(own))
        _keep(home / "token", token)
        _keep(home / "cluster.toml", cluster_toml(name, front.read_text()).encode())
        made.append(home)
    return made


def cluster_toml(name: str, front: str) -> str:
    """What `cluster.toml` of a machine says. front: the front's address."""
    return f"# Of {name}.\n" + _TOML.format(front=front)


def _machine(text: str) -> tuple[str, str]:
    match = _MACHINE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not like gpu-1=10.0.0.6")
    return match[1], match[2]


def _authority(folder: Path) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    file, key_file = folder / "authority.pem", folder / "authority.key"
    if file.exists():
        key = load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return x509.load_pem_x509_certificate(file.read_bytes()), key
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Likeness cluster")])
    built = _builder(name, name, key).add_extension(x509.BasicConstraints(True, 0), True)
    certificate = built.add_extension(_usage(authority=True), True).sign(key, SHA256())
    _keep(file, certificate.public_bytes(Encoding.PEM))
    _keep(key_file, _secret(key))
    return certificate, key


def _certificate(
    name: str,
    address: str,
    key: ec.EllipticCurvePrivateKey,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    """For both ends of a connection, under its address, its name and this machine itself."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = [_general(one) for one in dict.fromkeys((address, "127.0.0.1", name, "localhost"))]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(subject, authority.subject, key)
        .add_extension(x509.BasicConstraints(False, None), True)
        .add_extension(_usage(authority=False), True)
        .add_extension(x509.ExtendedKeyUsage(uses), False)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), False
        )
        .sign(authority_key, SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey
) -> x509.CertificateBuilder:
    start = datetime.now(UTC) - timedelta(hours=1)  # for clocks that differ
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + _LIFE)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
    )


def _usage(*, authority: bool) -> x509.KeyUsage:
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


def _secret(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _keep(path: Path, content: bytes) -> None:
    opened = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(opened, "wb") as target:
        target.write(content)


if __name__ == "__main__":
    sys.exit(main())
