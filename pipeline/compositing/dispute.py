"""Settle what the segmenter calls person and the network calls wall, by colour.

Hats, ears and sleeves in the wall's colour are disputed so, loose strands, and passers-by. The
network knows passers-by better, and hats hardly at all: nobody it learnt from wore one. GrabCut
(C. Rother et al., 2004) compares the colours of each disputed place with those of the person and of
the wall about it; closed-form alpha then finds the edge.
"""

from __future__ import annotations

import cv2
import numpy as np

from pipeline.compositing.refine import Coarse, Floats, Picture, sharpened
from pipeline.compositing.trimap import PERSON, Area, disc
from pipeline.imaging import Face

_DIFFERENCE = 0.35
"""Coarse alpha by which the two must differ."""

_MASK, _RATHER_SURE = 0.4, 0.59
"""What the segmenter must say at least of a pixel, and on the average of a place or a piece."""

_SURE = 0.82
"""The same of a place beside or below the eyes, where others stand and things are held."""

_LARGEST = 2.0
"""Areas of the face's box that such a place has at most: what is larger is somebody else."""

_ROUNDS = 3

_NARROW, _NEAR, _AROUND = 0.012, 0.02, 0.12
"""Shares of the long side: what is narrower is a blurred edge; how near a disputed place must be to
the person, and how far the wall reaches into it; how far colours are compared."""

_GLASS, _BEFORE_EYES = 0.25, 0.6
"""Radius of what glasses cover about an eye, in widths of the face's box; how much of a place must
lie there."""

_JOINED = 0.4
"""Share of its outline that a piece of the person has in common with the rest."""

_SKIN = 20.0
"""Distance in CIELAB, lightness by half, up to which a colour is that of the face's skin."""

_MEANT, _ATTACHED = 0.9, 0.2
"""What the segmenter must say at least of an arm's pixel; share of its outline that an arm has in
common with the person."""


def disputed(coarse: Coarse, alpha: Floats, face: Face | None) -> Area:
    """Find what touches the person and is theirs to the segmenter only: bool [h, w].

    alpha: the network's matte after `trimap.cleaned`; the face's coordinates are those of it. Away
    from the face the segmenter must be rather sure.
    """
    side = max(alpha.shape)
    lost = cv2.morphologyEx(_lost(coarse, alpha), cv2.MORPH_OPEN, disc(_NARROW * side))
    near = cv2.dilate((alpha > 0.5).astype(np.uint8), disc(_NEAR * side))
    _, parts = cv2.connectedComponents(lost)
    area = np.bincount(parts.ravel())
    sure = np.bincount(parts.ravel(), coarse.mask.ravel()) > _RATHER_SURE * area
    if face is not None:
        left, top, width, height = (round(v) for v in face.box)
        rows, columns = np.s_[max(0, top) : top + height], np.s_[max(0, left) : left + width]
        sure[np.unique(parts[rows, columns])] = True
    touching = [n for n in np.unique(parts[near > 0]) if n > 0 and sure[n]]
    wide = cv2.dilate(np.isin(parts, touching).astype(np.uint8), disc(_NEAR * side))
    # A hole in it would be taken for known wall.
    wide = cv2.morphologyEx(wide, cv2.MORPH_CLOSE, disc(2 * _NEAR * side))
    zone = (wide > 0) & (alpha < PERSON)
    return zone if face is None else zone & _likely(zone, coarse.mask, face)


def glasses(coarse: Coarse, alpha: Floats, face: Face | None) -> Area:
    """Find the glass before the eyes that was taken for the wall which it mirrors: bool [h, w].

    alpha, face: as `disputed` has them.
    """
    eyes = np.zeros(alpha.shape, np.uint8)
    if face is not None:
        reach = max(1, round(_GLASS * face.box[2]))
        for x, y in face.landmarks[:2]:
            cv2.circle(eyes, (round(float(x)), round(float(y))), reach, 1, -1)
    lost = _lost(coarse, alpha)
    _, parts = cv2.connectedComponents(lost)
    share = np.bincount(parts.ravel(), eyes.ravel()) / np.bincount(parts.ravel())
    found = (share > _BEFORE_EYES)[parts] & lost
    return cv2.morphologyEx(found, cv2.MORPH_CLOSE, disc(_NEAR * max(eyes.shape))) > 0


def _lost(coarse: Coarse, alpha: Floats) -> Picture:
    """What is the person's to the segmenter and not to the network: uint8 [h, w], 1 or 0."""
    return ((coarse.mask - alpha > _DIFFERENCE) & (coarse.mask > _MASK)).astype(np.uint8)


def _likely(zone: Area, mask: Floats, face: Face) -> Area:
    """The places above the eyes, where hats are, and those of which the segmenter is sure."""
    _, parts, _, centres = cv2.connectedComponentsWithStats(zone.astype(np.uint8))
    area = np.bincount(parts.ravel())
    sure = np.bincount(parts.ravel(), mask.ravel()) > _SURE * area
    sure &= area < _LARGEST * face.box[2] * face.box[3]
    eyes = float(face.landmarks[:2, 1].mean())
    return np.asarray((sure | (centres[:, 1] < eyes))[parts], np.bool_)


def settled(
    image: Picture, coarse: Coarse, alpha: Floats, zone: Area, face: Face | None = None
) -> Floats:
    """Alpha float32 [h, w] with the disputed zone drawn to person or wall.

    image: uint8 RGB [h, w, 3], the photo at the matte's size; face: as `disputed` has it.
    """
    result, others = alpha.copy(), None
    bare = _bare(image, alpha, face)
    _, parts, stats, _ = cv2.connectedComponentsWithStats(zone.astype(np.uint8))
    margin = round(_AROUND * max(alpha.shape))
    for part in range(1, len(stats)):
        left, top, width, height = (int(v) for v in stats[part, :4])
        cut = np.s_[
            max(0, top - margin) : top + height + margin,
            max(0, left - margin) : left + width + margin,
        ]
        here = parts[cut] == part
        if coarse.mask[cut][here].mean() > _SURE:
            # A brim, a sleeve: the network keeps them when it is not told whose face is meant.
            others = anybody(image, coarse) if others is None else others
            result[cut][here] = np.maximum(alpha[cut], others[cut])[here]
            result[cut][_arm(here, bare[cut], coarse.mask[cut], result[cut])] = 1.0
            continue
        solid = alpha[cut] > 0.5
        labels = np.where(solid, cv2.GC_FGD, cv2.GC_BGD).astype(np.uint8)
        labels[zone[cut]] = cv2.GC_PR_BGD
        labels[here & (coarse.mask[cut] > 0.5)] = cv2.GC_PR_FGD
        if not ((labels == cv2.GC_BGD).any() and (labels == cv2.GC_FGD).any()):
            continue  # no colours to compare with
        bgr = np.ascontiguousarray(image[cut][..., ::-1])
        cv2.setRNGSeed(0)
        models = np.zeros((1, 65)), np.zeros((1, 65))
        cv2.grabCut(bgr, labels, None, *models, _ROUNDS, cv2.GC_INIT_WITH_MASK)
        person = _joined(((labels & 1) == 1) & here, solid, coarse.mask[cut], _JOINED)
        result[cut][here] = person[here]
    return result


def anybody(image: Picture, coarse: Coarse) -> Floats:
    """The network's matte when it is not told whose face is meant: float32 [h, w], 0 to 1."""
    return sharpened(image, coarse.mask, coarse.doubt)


def _bare(image: Picture, alpha: Floats, face: Face | None) -> Area:
    """Where the colour is that of the middle of the face: bool [h, w]."""
    if face is None:
        return np.zeros(alpha.shape, np.bool_)
    left, top, width, height = face.box
    rows = slice(max(0, round(top + 0.4 * height)), max(0, round(top + 0.75 * height)) + 1)
    columns = slice(max(0, round(left + 0.3 * width)), max(0, round(left + 0.7 * width)) + 1)
    known = alpha[rows, columns] > PERSON
    if not known.any():
        return np.zeros(alpha.shape, np.bool_)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    skin = np.median(lab[rows, columns][known], axis=0)
    return np.asarray(np.linalg.norm((lab - skin) * (0.5, 1, 1), axis=-1) < _SKIN, np.bool_)


def _arm(place: Area, bare: Area, mask: Floats, alpha: Floats) -> Area:
    """What of a place that the segmenter means is a bare arm of the person: bool [h, w].

    Where most of it is skin, a watch, a bracelet or a rolled sleeve belong to it.
    """
    meant = place & (mask > _MEANT)
    arm = _joined(meant & bare, alpha > 0.5, mask, _ATTACHED)
    return meant if arm.any() and 2 * (meant & bare).sum() > meant.sum() else arm


def _joined(found: Area, person: Area, mask: Floats, share: float) -> Area:
    """The pieces that have this share of their outline in common with the person, and which the
    segmenter means: bool [h, w]."""
    count, parts = cv2.connectedComponents(found.astype(np.uint8))
    kept = np.zeros_like(found)
    for part in range(1, count):
        own = (parts == part).astype(np.uint8)
        outline = cv2.dilate(own, np.ones((3, 3), np.uint8)) > own
        if person[outline].mean() >= share and mask[own > 0].mean() > _RATHER_SURE:
            kept |= own > 0
    return kept
