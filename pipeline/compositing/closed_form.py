"""Closed-form matting inside the unknown band, with a weak pull towards a coarse matte.

A. Levin, D. Lischinski, Y. Weiss, "A Closed-Form Solution to Natural Image Matting", 2008: in every
3 x 3 window alpha is a linear function of colour. pymatting gives the Laplacian of that, the
incomplete Cholesky factor and the solver; here the Laplacian is built in strips (whole, it would
take 400 MB at 1024 pixels) and only rows of unknown pixels are kept. Where colours say nothing
(dark hair before a dark wall) the pull decides; it also lets the solver end after a few steps.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

PULL = 5e-4
"""Weight of a coarse matte of 0 or 1, beside the Laplacian, whose diagonal is about 1."""

_LEAST = 0.05
"""Share of that weight where the coarse matte is a grey, which is no more than a guess."""

_ALIKE = 1000.0
"""How much stronger the pull is where person and wall have one colour: what the Laplacian sees in
dark hair before a dark wall, or in a white shirt before a white one, is noise."""

_DISCARD, _SHIFTS = 1e-3, (1e-3, 1e-2, 0.1, 1.0)
"""Of the incomplete Cholesky factor: entries below the first are dropped; added to the diagonal
until it exists. Coarser factors cost more steps than they save."""

_STRIP = 48
"""Rows of the picture whose Laplacian is held at once."""

_REACH = 2
"""A row of the Laplacian reaches this many pixels: two 3 x 3 windows."""

_PRECISION = 1e-3
"""Relative residual at which the solver ends; below, alpha changes by less than 1/255."""


def solve_alpha(
    image: NDArray[np.float64],
    trimap: NDArray[np.float32],
    coarse: NDArray[np.float32],
    alike: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Find alpha where the trimap is neither 0 nor 1.

    Args:
        image: float64 RGB [H, W, 3], 0 to 1.
        trimap: float32 [H, W]: 0 wall, 1 person, anything between unknown.
        coarse: float32 [H, W], the matte to stay near, 0 to 1.
        alike: float32 [H, W], 1 where person and wall have one colour, 0 where they differ or None.

    Returns:
        float32 [H, W], 0 to 1.
    """
    from pymatting import cg, ichol
    from scipy import sparse

    alpha = trimap.astype(np.float64)
    unknown = (trimap > 0) & (trimap < 1)
    if not unknown.any():
        return trimap.astype(np.float32)
    rows = _laplacian_rows(image, unknown)
    places = unknown.ravel()
    known = np.where(unknown, 0.0, alpha).ravel()
    inner = rows[:, places]
    start = coarse[unknown].astype(np.float64)
    pull = PULL * ((2 * start - 1) ** 2 + _LEAST)
    if alike is not None:
        pull *= 1 + _ALIKE * alike[unknown]
    system = (inner + sparse.diags(pull, format="csr")).tocsr()
    target = pull * start - rows @ known
    factor = ichol(system.tocsc(), discard_threshold=_DISCARD, shifts=_SHIFTS)
    alpha[unknown] = cg(system, target, x0=start, M=factor, rtol=_PRECISION, maxiter=200)
    return np.asarray(np.clip(alpha, 0, 1), np.float32)


def _laplacian_rows(image: NDArray[np.float64], unknown: NDArray[np.bool_]) -> Any:
    """The rows of the matting Laplacian that belong to unknown pixels: sparse [unknown, H * W]."""
    from pymatting import cf_laplacian
    from scipy import sparse

    height, width = unknown.shape
    pieces = []
    for top in range(0, height, _STRIP):
        bottom = min(height, top + _STRIP)
        own = unknown[top:bottom]
        if not own.any():
            continue
        first, last = max(0, top - _REACH), min(height, bottom + _REACH)
        strip = np.ascontiguousarray(image[first:last])
        wide = cf_laplacian(strip, epsilon=1e-6, is_known=~unknown[first:last])
        chosen = np.zeros((last - first, width), bool)
        chosen[top - first : bottom - first] = own
        part = wide[chosen.ravel()].tocoo()
        kept = part.data != 0
        columns = part.col[kept] + first * width
        shape = (part.shape[0], height * width)
        pieces.append(sparse.csr_matrix((part.data[kept], (part.row[kept], columns)), shape))
    return sparse.vstack(pieces, format="csr")
