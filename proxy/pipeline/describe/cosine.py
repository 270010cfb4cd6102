"""
The cosine as JavaScript has it in V8 and SpiderMonkey, to the last bit: that of fdlibm.

The C library's differs by a bit here and there, which decides how a hash of a flat picture is rounded.
Ported from https://www.netlib.org/fdlibm/ (k_cos.c, k_sin.c, e_rem_pio2.c), whose notice is:

    Copyright (C) 1993 by Sun Microsystems, Inc. All rights reserved.
    Developed at SunPro, a Sun Microsystems, Inc. business.
    Permission to use, copy, modify, and distribute this software is freely granted, provided that this
    notice is preserved.
"""

from __future__ import annotations

import struct

_PARTS = (
    (1.57079632673412561417e00, 6.07710050650619224932e-11),
    (6.07710050630396597660e-11, 2.02226624879595063154e-21),
    (2.02226624871116645580e-21, 8.47842766036889956997e-32),
)
"""A quarter turn: three pieces of 33 bits, and what is left of it after each."""

_COSINE = (
    4.16666666666666019037e-02, -1.38888888888741095749e-03, 2.48015872894767294178e-05,
    -2.75573143513906633035e-07, 2.08757232129817482790e-09, -1.13596475577881948265e-11,
)  # fmt: skip
_SINE = (
    -1.66666666666666324348e-01, 8.33333333332248946124e-03, -1.98412698298579493134e-04,
    2.75573137070700676789e-06, -2.50507602534068634195e-08, 1.58969099521155010221e-10,
)  # fmt: skip


def cosine(angle: float) -> float:
    """For radians from 0 to 2^19 times a quarter turn; beyond, fdlibm goes another way."""
    quarters, rest, tail = _remainder(angle)
    match quarters % 4:
        case 0:
            return _cosine(rest, tail)
        case 1:
            return -_sine(rest, tail)
        case 2:
            return -_cosine(rest, tail)
        case _:
            return _sine(rest, tail)


def _remainder(angle: float) -> tuple[int, float, float]:
    """How many quarter turns, and what is left of the angle, in two numbers."""
    if _high(angle) <= 0x3FE921FB:
        return 0, angle, 0.0
    quarters = int(angle * 6.36619772367581382433e-01 + 0.5)
    piece, left = _PARTS[0]
    rest, less = angle - quarters * piece, quarters * left
    for (piece, left), most in zip(_PARTS[1:], (16, 49), strict=True):
        if _exponent(angle) - _exponent(rest - less) <= most:
            break
        before, less = rest, quarters * piece
        rest = before - less
        less = quarters * left - ((before - rest) - less)
    return quarters, rest - less, (rest - (rest - less)) - less


def _cosine(x: float, tail: float) -> float:
    if abs(x) < 2.0**-27:
        return 1.0
    z = x * x
    r = z * _polynomial(z, _COSINE)
    high = _high(abs(x))
    if high < 0x3FD33333:
        return 1.0 - (0.5 * z - (z * r - x * tail))
    shift = 0.28125 if high > 0x3FE90000 else _double(high - 0x00200000)
    return (1.0 - shift) - ((0.5 * z - shift) - (z * r - x * tail))


def _sine(x: float, tail: float) -> float:
    if abs(x) < 2.0**-27:
        return x
    z = x * x
    v = z * x
    r = _polynomial(z, _SINE[1:])
    return x - ((z * (0.5 * tail - v * r) - tail) - v * _SINE[0])


def _polynomial(z: float, coefficients: tuple[float, ...]) -> float:
    total = 0.0
    for coefficient in reversed(coefficients):
        total = coefficient + z * total
    return total


def _high(value: float) -> int:
    """The upper half of its bits."""
    return int(struct.unpack(">Q", struct.pack(">d", value))[0] >> 32)


def _exponent(value: float) -> int:
    return _high(abs(value)) >> 20


def _double(high: int) -> float:
    return float(struct.unpack(">d", struct.pack(">Q", high << 32))[0])
