"""Colours that a HEIC names by numbers (nclx, ITU-T H.273) → an ICC profile, or None for sRGB.

Cameras write BT.2020 with PQ or HLG (HDR) and Display P3 so. The profile's curve brings HDR down to
what a screen shows: up to 88 cd/m² as it is, brighter ever less, as BT.2390 says. Part of the
decoding process; imports nothing of the project.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping

PQ, HLG = 16, 18
"""Transfer characteristics of HDR."""

WHITE, PEAK = 203.0, 1000.0
"""cd/m²: white paper (BT.2408), which becomes the screen's white at most; what is made white."""

_WIDE = frozenset((9, 11, 12))
"""Colour primaries that are not nearly sRGB's: BT.2020, and P3 with two whites."""

_ENTRIES = 1024

_D50 = (0.9642, 1.0, 0.8249)
_BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]


def profile(nclx: Mapping[str, float] | None) -> bytes | None:
    """The profile that a file's nclx stands for, as pillow_heif gives it; None for nearly sRGB."""
    if not nclx:
        return None
    transfer = nclx.get("transfer_characteristics")
    curve = {PQ: _pq, HLG: _hlg}.get(int(transfer or 0))
    if curve is None and nclx.get("color_primaries") not in _WIDE:
        return None
    try:
        return _icc(_primaries(nclx), curve or _srgb)
    except (KeyError, ZeroDivisionError, struct.error):
        return None


def _srgb(value: float) -> float:
    return value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4


def _pq(value: float) -> float:
    """A PQ code, 0 to 1 → light, 1 for the screen's white."""
    return _from_pq(_rolled_off(value)) / WHITE


def _hlg(value: float) -> float:
    """An HLG code, 0 to 1 → light, 1 for the screen's white."""
    a, b, c = 0.17883277, 0.28466892, 0.55991073  # BT.2100
    scene = value * value / 3 if value <= 0.5 else (math.exp((value - c) / a) + b) / 12
    return _pq(_to_pq(PEAK * scene**1.2))


def _rolled_off(code: float) -> float:
    """BT.2390: PQ codes up to that of `PEAK` → up to that of `WHITE`, the lower ones unchanged."""
    peak = _to_pq(PEAK)
    most = _to_pq(WHITE) / peak
    knee = 1.5 * most - 0.5
    at = min(1.0, code / peak)
    if at <= knee:
        return code
    t = (at - knee) / (1 - knee)
    rise = (2 * t**3 - 3 * t**2 + 1) * knee + (t**3 - 2 * t**2 + t) * (1 - knee)
    return peak * (rise + (3 * t**2 - 2 * t**3) * most)


_M1, _M2, _C1, _C2, _C3 = 0.1593017578125, 78.84375, 0.8359375, 18.8515625, 18.6875
"""SMPTE ST 2084."""


def _from_pq(code: float) -> float:
    """0 to 1 → cd/m²."""
    root = code ** (1 / _M2)
    return float(10_000 * (max(0.0, root - _C1) / (_C2 - _C3 * root)) ** (1 / _M1))


def _to_pq(light: float) -> float:
    """cd/m² → 0 to 1."""
    power = (light / 10_000) ** _M1
    return float(((_C1 + _C2 * power) / (1 + _C3 * power)) ** _M2)


def _primaries(nclx: Mapping[str, float]) -> Matrix:
    """XYZ of red, green and blue in rows, as a profile has them: for a white of D50."""
    red, green, blue, white = (
        _xyz(nclx[f"color_primary_{name}_x"], nclx[f"color_primary_{name}_y"])
        for name in ("red", "green", "blue", "white")
    )
    corners = (red, green, blue)
    shares = _times(_inverse(_transposed(corners)), white)
    cones, wanted = _times(_BRADFORD, white), _times(_BRADFORD, _D50)
    back = _inverse(_BRADFORD)

    def adapted(xyz: Vector, share: float) -> Vector:
        x, y, z = (
            share * cone * to / of
            for cone, to, of in zip(_times(_BRADFORD, xyz), wanted, cones, strict=True)
        )
        return _times(back, (x, y, z))

    r, g, b = (adapted(corner, share) for corner, share in zip(corners, shares, strict=True))
    return r, g, b


def _xyz(x: float, y: float) -> Vector:
    return x / y, 1.0, (1 - x - y) / y


def _times(matrix: Matrix, vector: Vector) -> Vector:
    x, y, z = (sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix)
    return x, y, z


def _transposed(matrix: Matrix) -> Matrix:
    a, b, c = zip(*matrix, strict=True)
    return a, b, c


def _inverse(matrix: Matrix) -> Matrix:
    (a, b, c), (d, e, f), (g, h, i) = matrix
    size = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    return (
        ((e * i - f * h) / size, (c * h - b * i) / size, (b * f - c * e) / size),
        ((f * g - d * i) / size, (a * i - c * g) / size, (c * d - a * f) / size),
        ((d * h - e * g) / size, (b * g - a * h) / size, (a * e - b * d) / size),
    )


def _icc(primaries: Matrix, curve: Callable[[float], float]) -> bytes:
    """An ICC profile, version 2: a matrix and one curve for all three."""
    values = (curve(i / (_ENTRIES - 1)) for i in range(_ENTRIES))
    levels = [round(65535 * min(1.0, max(0.0, value))) for value in values]
    bodies = [b"curv" + bytes(4) + struct.pack(f">I{_ENTRIES}H", _ENTRIES, *levels)]
    bodies += [b"XYZ " + bytes(4) + _fixed(xyz) for xyz in (*primaries, _D50)]
    names = {b"rTRC": 0, b"gTRC": 0, b"bTRC": 0, b"rXYZ": 1, b"gXYZ": 2, b"bXYZ": 3, b"wtpt": 4}
    start = 128 + 4 + 12 * len(names)
    starts = [start + sum(map(len, bodies[:i])) for i in range(len(bodies))]
    tags = b"".join(
        name + struct.pack(">II", starts[body], len(bodies[body])) for name, body in names.items()
    )
    data = struct.pack(">I", len(names)) + tags + b"".join(bodies)
    header = struct.pack(">I4xI12s", 128 + len(data), 0x02400000, b"mntrRGB XYZ ")
    header += bytes(12) + b"acsp" + bytes(28) + _fixed(_D50) + bytes(48)
    return header + data


def _fixed(xyz: Vector) -> bytes:
    """Three numbers of 16 bits before the point and 16 behind."""
    return struct.pack(">3i", *(round(value * 65536) for value in xyz))
