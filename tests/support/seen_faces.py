"""Faces in pictures that many tests share, searched and embedded once: the same every time."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import settings as configuration
from pipeline.imaging import Face
from pipeline.photos.detection import Faces
from tests.support.faces import Picture

_MOST = 400
_KNOWN: OrderedDict[Any, Any] = OrderedDict()
_SHIPPED = configuration.ROOT / "models" / "faces"
_REAL = Faces.detect, Faces.embed


class SeenFaces(Faces):
    """As `Faces`; what the shipped models say of a picture is remembered."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._shipped = folder == _SHIPPED

    def detect(self, image: Picture) -> list[Face]:
        return list(self._once(("detect",), image, lambda: super(SeenFaces, self).detect(image)))

    def embed(self, image: Picture, face: Face) -> Any:
        key = "embed", face.box, face.score, face.landmarks.tobytes()
        found = self._once(key, image, lambda: super(SeenFaces, self).embed(image, face))
        return found.copy()

    def _once(self, key: tuple, image: Picture, look: Callable[[], Any]) -> Any:
        if not self._shipped or (Faces.detect, Faces.embed) != _REAL:
            return look()
        key = *key, image.shape, sha256(image.tobytes()).digest()
        known = _KNOWN.get(key)
        if known is None:
            known = _KNOWN[key] = look()
            if len(_KNOWN) > _MOST:
                _KNOWN.popitem(last=False)
        return known
