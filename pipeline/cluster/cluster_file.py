"""The file that `LIKENESS_CLUSTER` names: which cluster this machine belongs to, and as who.

    address     = "10.0.0.5:6379"      # of Ray's head; the front alone needs it
    authority   = "authority.pem"      # who says which machines belong to the cluster
    certificate = "front.pem"          # this machine's own
    key         = "front.key"
    token       = "token"              # that Ray asks for
    agent       = "/run/likeness-ray/agent.sock"    # where the front finds an agent that runs
    drained     = ["worker-3"]         # machines that get no new job; read again while it runs

Paths are relative to the file. On a worker `LIKENESS_CLUSTER` names such a file, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from errors import BadSettings
from pipeline.cluster.identity import Authority, Signer
from privacy.private_toml import private_bytes, read_private

SETTING = "LIKENESS_CLUSTER"
_KNOWN = {"address", "authority", "certificate", "key", "token", "agent", "drained"}


@dataclass(frozen=True)
class ClusterFile:
    """What stands in it. files: paths of authority, certificate, key and token, for Ray. agent: the
    socket of one that runs under a user of its own; empty where the front starts one."""

    path: Path
    address: str
    files: tuple[Path, Path, Path, Path]
    authority: Authority
    signer: Signer
    agent: str = ""
    drained: frozenset[str] = frozenset()

    def ray_environment(self) -> dict[str, str]:
        """What lets Ray into the cluster as this machine, and tells its makers nothing."""
        authority, certificate, key, token = map(str, self.files)
        return {
            "RAY_USE_TLS": "1",
            "RAY_TLS_CA_CERT": authority,
            "RAY_TLS_SERVER_CERT": certificate,
            "RAY_TLS_SERVER_KEY": key,
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": token,
            "RAY_USAGE_STATS_ENABLED": "0",
        }

    @classmethod
    def read(cls, path: Path) -> ClusterFile:
        """
        Raises:
            BadSettings: a file is missing, can be read by others, or is not what it should be.
        """
        table = read_private(SETTING, path)
        if unknown := sorted(set(table) - _KNOWN):
            raise BadSettings(f"{SETTING}: {path.name} knows no {unknown[0]!r}.")
        files = []
        for name in ("authority", "certificate", "key", "token"):
            value = table.get(name)
            if not isinstance(value, str) or not value:
                raise BadSettings(f"{SETTING}: {path.name} needs {name!r}, the path of a file.")
            files.append((path.parent / value).absolute())
        authority, certificate, key, token = files
        drained = table.get("drained", [])
        if not isinstance(drained, list) or not all(isinstance(one, str) for one in drained):
            raise BadSettings(f"{SETTING}: drained is not a list of names of machines.")
        try:
            return cls(
                path,
                str(table.get("address", "")),
                (authority, certificate, key, token),
                Authority(_public(authority)),
                Signer.of(_public(certificate), private_bytes(SETTING, key)),
                str(table.get("agent", "")),
                frozenset(drained),
            )
        except ValueError as why:
            raise BadSettings(f"{SETTING}: certificate or key of {path.name}: {why}.") from None


def _public(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as why:
        raise BadSettings(f"{SETTING}: {path} cannot be read ({why.strerror}).") from None
