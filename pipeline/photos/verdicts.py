"""What the page is told of each photo: the verdict on it by itself, and in view of the others.

Pure functions of the records; `similarity.py` knows what photos have to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from messages import Message
from pipeline.imaging import CutOut
from pipeline.photos.record import ARRIVING, SAMPLE, WAITING, FaceRecord, Label
from pipeline.photos.similarity import near_duplicates, strangers


@dataclass(frozen=True)
class PhotoRecord:
    """What the page shows of a photo.

    id: "photo-01" and so on. verdict: what to say of it. cut_out_usable: fit to be set before
    another wall; a photo may be accepted and be fit for painting only. sharpness: of the face, 0 if
    there is none.
    """

    id: str
    label: Label
    accepted: bool
    verdict: Message
    cut_out_usable: bool
    sharpness: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether it is good and its person is still to be cut out."""
        return self.verdict.key == WAITING

    @property
    def arrives(self) -> bool:
        """Whether it is on its way and looks good in small: nothing can be made of it yet."""
        return self.verdict.key == ARRIVING

    @property
    def is_sample(self) -> bool:
        """Whether it came with Likeness, rather than from the visitor."""
        return isinstance(self.label, Message) and self.label.key == SAMPLE

    @property
    def code(self) -> str | None:
        """Why it is not accepted, e.g. "blurred" or "arriving": the end of the verdict's key."""
        return None if self.accepted else self.verdict.key.rpartition(".")[2]


def judged(stored: Sequence[FaceRecord]) -> list[PhotoRecord]:
    """The verdicts of the single photos, and of the set on those that passed."""
    good = [(record, record.face) for record in stored if record.face is not None]
    twins = near_duplicates([face for _, face in good])
    single = [
        (record, face) for (record, face), twin in zip(good, twins, strict=True) if twin is None
    ]
    compared = [(record, face.embedding) for record, face in single if face.embedding is not None]
    foreign = strangers([embedding for _, embedding in compared])
    against = {
        record.id: Message("verdict.duplicate", {"number": number_of(good[twin][0].id) or 0})
        for (record, _), twin in zip(good, twins, strict=True)
        if twin is not None
    } | {
        record.id: Message("verdict.different_person")
        for (record, _), is_foreign in zip(compared, foreign, strict=True)
        if is_foreign
    }
    return [verdict(record, against.get(record.id)) for record in stored]


def verdict(record: FaceRecord, against: Message | None = None) -> PhotoRecord:
    """A record as the page shows it; `against` is what speaks against it in view of the others."""
    if against is not None:
        return PhotoRecord(record.id, record.label, False, against, False)
    face = record.face
    return PhotoRecord(
        record.id,
        record.label,
        face is not None and record.verdict.key != ARRIVING,
        record.verdict,
        face is not None and not face.faults and record.verdict.key not in (ARRIVING, WAITING),
        face.sharpness if face else 0.0,
    )


def number_of(photo_id: str) -> int | None:
    """3 of "photo-03"; None for anything that is no photo's id."""
    prefix, _, digits = photo_id.partition("-")
    if (
        prefix != "photo"
        or not 2 <= len(digits) <= 6
        or not (digits.isascii() and digits.isdigit())
    ):
        return None
    return int(digits)


def said_of(cut_out: CutOut) -> Message:
    """What to say of a good photo: its fault, what hides the face, too little room around the head,
    doubtful edges, or just that."""
    if cut_out.faults:
        return Message(f"photos.fault.{cut_out.faults[0]}")
    if cut_out.covered:
        return Message(f"photos.covered.{cut_out.covered}")
    if cut_out.tight:
        return Message("photos.tight")
    return Message("verdict.good" if cut_out.edges_sure else "photos.look_closely")
