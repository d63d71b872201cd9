"""Hand-ins as files in a folder, encrypted with age for whoever holds one of the private keys.

`<id>.zip.age`: a ZIP with the pictures and `hand-in.json`. Whoever fetches it moves it away; as
long as it lies there, its visitor can take it back. Format: age-encryption.org/v1, X25519.
"""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Sequence
from pathlib import Path

import pyrage

from errors import DiskFull
from privacy import scratch
from web.hand_in.parcel import Channel, NotDelivered, Parcel

_READABLE_BY_GROUP = 0o640  # nobody opens it without a private key, so whoever fetches it may


class Folder(Channel):
    """A folder that another program, or a person, fetches from."""

    name = "folder"

    def __init__(self, path: Path, recipients: Sequence[pyrage.x25519.Recipient]) -> None:
        self._path, self._recipients = path, list(recipients)

    def pack(self, parcel: Parcel) -> bytes:
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as bundle:
            for picture in parcel.pictures:
                bundle.writestr(zipfile.ZipInfo(picture.file), picture.data)
            files = [picture.file for picture in parcel.pictures]
            bundle.writestr(zipfile.ZipInfo("hand-in.json"), parcel.json(pictures=files))
        packed: bytes = pyrage.encrypt(buffer.getvalue(), self._recipients)
        return packed

    def send(self, id_: str, packed: bytes) -> None:
        try:
            with scratch.open_folder(self._path) as folder:
                scratch.replace(folder, _file(id_), packed)
                os.chmod(_file(id_), _READABLE_BY_GROUP, dir_fd=folder)
        except DiskFull:
            raise NotDelivered("the folder is full") from None
        except OSError as problem:
            raise NotDelivered(f"the folder cannot be written to: {problem.strerror}") from None

    def lies_ready(self, id_: str) -> bool:
        return (self._path / _file(id_)).is_file()

    def withdraw(self, id_: str) -> bool:
        try:
            with scratch.open_folder(self._path) as folder:
                os.unlink(_file(id_), dir_fd=folder)
                os.fsync(folder)
        except OSError:
            return False
        return True


def _file(id_: str) -> str:
    return f"{id_}.zip.age"
