"""The kinds of files that a session's part of the vault may hold: one name for each, said once.

Here rather than in `pipeline/`, since the receipts count some of them and a guest may read some. To
this package they are names: it knows nothing of what is in such a file.
"""

from __future__ import annotations

PHOTO = "photo"
"""A cut-out; under the same name, `FACE`: what was measured of it."""

FACE = "face"

ADAPTER = "adapter"
"""The model of a face; `CHECKPOINT`: one that is not finished."""

CHECKPOINT = "checkpoint"
MODEL = (ADAPTER, CHECKPOINT)

ORDER = "order"
"""What was ordered, until it is done: one that the end of the server cut off goes on from it."""

PORTRAIT = "portrait"
"""A finished picture; `SHEET`: what is known of all of them."""

SHEET = "sheet"

CLIP = "clip"
"""A portrait that moves, as a file; `MOVING`: a small one that colleagues may see."""

MOVING = "moving"

HEARTS = "hearts"
"""The visitor's favourites; `VOTES`: those of colleagues, who came by the link in `SHARE`."""

VOTES = "votes"
SHARE = "share"

CONSENT = "consent"
"""What was agreed to, as it was told then."""

WISH = "wish"
"""How downloads are to be finished."""

HAND_IN = "hand-in"
"""Portraits packed for whom the operator names, under a key of its own (`hand_ins`)."""
