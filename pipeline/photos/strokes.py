"""What a visitor takes away from a cut-out by hand: a passer-by's hand, a piece of fence.

Strokes are written into the photo's record and drawn whenever the cut-out is read, so the last one
can be taken back. A cut-out holds the person alone: taking away needs nothing of the room.
"""

from __future__ import annotations

import threading
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from errors import BadOrder
from pipeline.imaging import CutOut
from pipeline.photos.record import FaceRecord, Stroke
from privacy import kinds
from privacy.sealed import Files
from privacy.sessions import Session

MOST = 40
"""Strokes of one photo."""

_SOFT = 0.25
"""Width of a stroke's edge, in radii."""

_SEEN = 20
"""Alpha, 0 to 255, above which something can be seen."""

_SMALL = 0.1
"""Share of the person up to which a piece that a stroke cuts off goes with it."""


class Strokes:
    """The strokes of all sessions' photos. Thread-safe.

    Args:
        writing: the lock under which records of photos are written.
    """

    def __init__(self, vault: Files, writing: threading.Lock) -> None:
        self._vault, self._writing = vault, writing

    def add(self, session: Session, photo_id: str, stroke: Stroke) -> None:
        """Take away what is under a stroke.

        Raises:
            KeyError: no such photo. UnknownSession: the session was erased.
            BadOrder: there are `MOST` already. DiskFull: no room.
        """
        with self._writing:
            record = self._record(session, photo_id)
            if len(record.taken) >= MOST:
                raise BadOrder("editor.taken_enough", most=MOST)
            self._keep(session, replace(record, taken=(*record.taken, stroke)))

    def back(self, session: Session, photo_id: str) -> None:
        """Bring back what the last stroke took; harmless if there was none.

        Raises:
            KeyError, UnknownSession, DiskFull: as `add`.
        """
        with self._writing:
            record = self._record(session, photo_id)
            self._keep(session, replace(record, taken=record.taken[:-1]))

    def _record(self, session: Session, photo_id: str) -> FaceRecord:
        return FaceRecord.from_json(photo_id, self._vault.open(session, kinds.FACE, photo_id))

    def _keep(self, session: Session, record: FaceRecord) -> None:
        self._vault.put(session, kinds.FACE, record.id, record.to_json())


def without(cut_out: CutOut, strokes: tuple[Stroke, ...]) -> CutOut:
    """The cut-out without what is under the strokes, and without small pieces that they cut off."""
    for stroke in strokes:
        cut_out = _without(cut_out, stroke)
    return cut_out


def _without(cut_out: CutOut, stroke: Stroke) -> CutOut:
    height, width = cut_out.alpha.shape
    radius = stroke.radius * max(height, width)
    path = np.rint(np.array(stroke.points) * (width, height)).astype(np.int32)
    under = np.zeros_like(cut_out.alpha)
    thickness = max(1, round(2 * radius))
    for start, end in zip(path, [*path[1:], path[-1]], strict=True):
        cv2.line(under, start.tolist(), end.tolist(), 255, thickness, cv2.LINE_AA)
    under = np.asarray(cv2.GaussianBlur(under, (0, 0), max(0.5, _SOFT * radius)), np.uint8)
    left = cut_out.alpha.astype(np.uint16) * (255 - under)
    alpha = ((left + 127) // 255).astype(np.uint8)
    alpha[_cut_off(alpha, under > 0)] = 0
    colours = cut_out.colours.copy()
    colours[alpha == 0] = 0
    return replace(cut_out, colours=colours, alpha=alpha)


def _cut_off(alpha: NDArray[np.uint8], under: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Small pieces that touch a stroke and nothing else of the person: bool [H, W]."""
    _, parts, stats, _ = cv2.connectedComponentsWithStats((alpha > _SEEN).astype(np.uint8))
    area = stats[:, cv2.CC_STAT_AREA]
    edge = cv2.dilate(under.astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    touched = np.zeros(len(area), bool)
    touched[np.unique(parts[edge])] = True
    small = area < _SMALL * area[1:].sum()
    gone = touched & small
    gone[0] = False
    return np.asarray(gone[parts], np.bool_)
