"""A signing chain, and what the reference reader (c2pa-python) says of a signed file."""

from __future__ import annotations

import io
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import c2pa

from pipeline.portraits import signing
from pipeline.portraits.signing import Signer
from tools.signing_chain import write

_OFFLINE = {"remote_manifest_fetch": False, "ocsp_fetch": False, "verify_trust": True}


def made_chain(folder: Path, start: datetime | None = None) -> tuple[str, str]:
    """Paths of a new key and chain, valid for a year."""
    write(folder, "Acme", timedelta(days=365), start)
    return str(folder / "key.pem"), str(folder / "chain.pem")


def made_signer(folder: Path) -> Signer:
    """A signer of a new chain."""
    signer = signing.load(*made_chain(folder))()
    assert signer is not None
    return signer


def read(file: bytes, media_type: str, root: Path) -> tuple[str, dict[str, Any], set[str]]:
    """The reader's verdict ("Trusted", "Valid", "Invalid"), the manifest, the codes of failures.

    Raises:
        c2pa.C2paError: there is no manifest.
    """
    trusted = {"trust_anchors": root.read_text()}
    context = c2pa.Context.from_dict({"trust": trusted, "verify": _OFFLINE})
    with c2pa.Reader(media_type, io.BytesIO(file), context=context) as reader:
        results = reader.get_validation_results()["activeManifest"]
        failures = {found["code"] for found in results["failure"]}
        return reader.get_validation_state(), reader.get_active_manifest(), failures
