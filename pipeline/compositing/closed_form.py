"""Closed-form matting inside the unknown band, with a weak pull towards a coarse matte.

A. Levin, D. Lischinski, Y. Weiss, "A Closed-Form Solution to Natural Image Matting", 2008: in every
3 x 3 window alpha is a linear function of colour. Only the rows of the matting Laplacian that
belong to unknown pixels are built, 25 numbers each, and a few thousand windows at a time; scipy
solves. Where colours say nothing (dark hair before a dark wall) the pull decides.
"""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pipeline.compositing.upsample import inverse_of

PULL = 5e-4
"""Weight of a coarse matte of 0 or 1, beside the Laplacian, whose diagonal is about 1."""

_LEAST = 0.05
"""Share of that weight where the coarse matte is a grey, which is no more than a guess."""

_ALIKE = 1000.0
"""How much stronger the pull is where person and wall have one colour: what the Laplacian sees in
dark hair before a dark wall, or in a white shirt before a white one, is noise."""

_EPSILON = 1e-6
"""Variance of colour (0 to 1, squared) that every window has at least."""

_AT_ONCE = 8192
"""Windows whose 81 products are held at once."""

_BLOCK = 4
"""Side in pixels of the blocks for which the preconditioner solves exactly."""

_PRECISION, _MOST = 2e-4, 400
"""Relative residual at which the solver ends: alpha is then off by 0.001 on average. And after how
many steps it ends anyway."""

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]


def solve_alpha(
    image: NDArray[np.float64], trimap: Floats, coarse: Floats, alike: Floats | None = None
) -> Floats:
    """Find alpha where the trimap is neither 0 nor 1.

    Args:
        image: float64 RGB [H, W, 3], 0 to 1.
        trimap: float32 [H, W]: 0 wall, 1 person, anything between unknown.
        coarse: float32 [H, W], the matte to stay near, 0 to 1.
        alike: float32 [H, W], 1 where person and wall have one colour, 0 where they differ or None.

    Returns:
        float32 [H, W], 0 to 1.
    """
    from scipy import sparse
    from scipy.sparse.linalg import cg

    alpha = trimap.astype(np.float32)
    unknown = (trimap > 0) & (trimap < 1)
    if not unknown.any():
        return alpha
    values, places = laplacian_rows(image, unknown)
    start = coarse[unknown]
    pull = PULL * ((2 * start - 1) ** 2 + np.float32(_LEAST))
    if alike is not None:
        pull *= 1 + np.float32(_ALIKE) * alike[unknown]
    target = pull * start - (values * np.where(unknown, 0, alpha).ravel()[places]).sum(axis=1)
    number = np.full(unknown.size, -1, np.int32)
    number[unknown.ravel()] = np.arange(len(start), dtype=np.int32)
    columns = number[places]
    inner = (columns >= 0) & (values != 0)
    ends = np.concatenate([[0], np.cumsum(inner.sum(axis=1))])
    system = sparse.csr_matrix((values[inner], columns[inner], ends), shape=(len(start),) * 2)
    system = system + sparse.diags(pull, format="csr")
    nearly = _nearly_inverse(system, unknown)
    found, _ = cg(system, target, x0=start, M=nearly, rtol=_PRECISION, maxiter=_MOST)
    alpha[unknown] = found
    return np.clip(alpha, 0, 1)


def _nearly_inverse(system: Any, unknown: NDArray[np.bool_]) -> Any:
    """Precondition the system of the unknown pixels of bool [H, W], on two levels: pixel by pixel,
    and exactly for blocks of pixels as if each had one alpha. By the first alone, an error that is
    even over twenty pixels would hardly shrink."""
    from scipy import sparse
    from scipy.sparse.linalg import LinearOperator, splu

    count = system.shape[0]
    rows, columns = (place // _BLOCK for place in np.nonzero(unknown))
    blocks, block = np.unique(rows * unknown.shape[1] + columns, return_inverse=True)
    ones = np.ones(count, np.float32)
    spread = sparse.csr_matrix((ones, block, np.arange(count + 1)), shape=(count, len(blocks)))
    gather = spread.T.tocsr()
    coarse, diagonal = splu((gather @ system @ spread).tocsc()), 1 / system.diagonal()
    return LinearOperator(
        system.shape,
        matvec=lambda rest: diagonal * rest + spread @ coarse.solve(gather @ rest),
        dtype=np.float32,
    )


def laplacian_rows(image: NDArray[np.float64], unknown: NDArray[np.bool_]) -> tuple[Floats, Ints]:
    """Build the rows of the matting Laplacian that belong to unknown pixels.

    Args:
        image: float64 RGB [H, W, 3], 0 to 1. unknown: bool [H, W].

    Returns:
        float32 [unknown, 25], of the 5 x 5 pixels about each; and which pixels of the flattened
        picture those are, int32 [unknown, 25]: any where a row has nothing.
    """
    width = unknown.shape[1]
    pixels = np.flatnonzero(unknown).astype(np.int32)
    places = np.clip(pixels[:, None] + _steps(2, width), 0, unknown.size - 1)
    number = np.full(unknown.size, -1, np.int32)
    number[pixels] = np.arange(len(pixels), dtype=np.int32)
    values = np.zeros((len(pixels), 5, 5), np.float32)
    # A window that reaches beyond the picture does not count.
    touched = cv2.dilate(unknown.view(np.uint8), np.ones((3, 3), np.uint8))[1:-1, 1:-1]
    centres = np.flatnonzero(np.pad(touched, 1)).astype(np.int32)
    window, ink = _steps(1, width), image.reshape(-1, 3)
    for first in range(0, len(centres), _AT_ONCE):
        some = centres[first : first + _AT_ONCE]
        products = _products(ink[some[:, None] + window])
        for place, step in enumerate(window):
            rows = number[some + step]
            own = rows >= 0
            down, right = divmod(place, 3)
            values[rows[own], 2 - down : 5 - down, 2 - right : 5 - right] += products[own, place]
    return values.reshape(-1, 25), places


def _steps(reach: int, width: int) -> Ints:
    """From a pixel to those about it, in the flattened picture, row by row."""
    across = np.arange(-reach, reach + 1, dtype=np.int32)
    return (across[:, None] * np.int32(width) + across).ravel()


def _products(colours: NDArray[np.float64]) -> Floats:
    """What 3 x 3 windows [N, 9, 3] give to the Laplacian: float32 [N, 9, 3, 3], of each pixel with
    each."""
    apart = colours - colours.mean(axis=1, keepdims=True)
    spread = np.matmul(apart.transpose(0, 2, 1), apart)
    spread[:, range(3), range(3)] += _EPSILON
    a, b, c, d, e, f = (
        spread[:, i, j] / 9 for i, j in ((0, 0), (0, 1), (0, 2), (1, 1), (1, 2), (2, 2))
    )
    inverse = np.stack(inverse_of(a, b, c, d, e, f), axis=-1)[:, [0, 1, 2, 1, 3, 4, 2, 4, 5]]
    inverse = inverse.reshape(-1, 3, 3)
    found = np.matmul(np.matmul(apart, inverse), apart.transpose(0, 2, 1))
    found = -(1 + found) / 9
    found[:, range(9), range(9)] += 1
    return np.asarray(found.reshape(-1, 9, 3, 3), np.float32)
