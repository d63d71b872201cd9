"""Who belongs to a cluster: `python -m tools.cluster_certs FOLDER front=10.0.0.5 gpu-1=10.0.0.6`.

Makes the cluster's authority and Ray's token in FOLDER at the first call, and for each machine a
folder of its own to be copied there, with `cluster.toml` for LIKENESS_CLUSTER. A later call adds
machines. FOLDER has the authority's key: whoever has that can add machines, so it stays with the
operator, on none of them.
"""

from __future__ import annotations

import argparse
import ipaddress
import re
import secrets
import sys
from datetime import timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tools.certificates import builder, from_now, key_pem, write_new

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
        write_new(front, machines[0][1].encode())
    if not (folder / "token").exists():
        write_new(folder / "token", secrets.token_hex(32).encode())
    token, made = (folder / "token").read_bytes(), []
    for name, address in machines:
        own = ec.generate_private_key(ec.SECP256R1())
        certificate = _certificate(name, address, own, authority, key)
        home = folder / name
        home.mkdir(mode=0o700)
        write_new(home / "authority.pem", authority.public_bytes(Encoding.PEM))
        write_new(home / "machine.pem", certificate.public_bytes(Encoding.PEM))
        write_new(home / "machine.key", key_pem(own))
        write_new(home / "token", token)
        write_new(home / "cluster.toml", cluster_toml(name, front.read_text()).encode())
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
    certificate = builder(name, name, key, key, from_now(_LIFE)).sign(key, SHA256())
    write_new(file, certificate.public_bytes(Encoding.PEM))
    write_new(key_file, key_pem(key))
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
        builder(subject, authority.subject, key, authority_key, from_now(_LIFE))
        .add_extension(x509.ExtendedKeyUsage(uses), False)
        .add_extension(x509.SubjectAlternativeName(names), False)
        .sign(authority_key, SHA256())
    )


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


if __name__ == "__main__":
    sys.exit(main())
