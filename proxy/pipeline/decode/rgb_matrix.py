"""Matrices between linear RGB spaces and CIE XYZ."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from proxy.pipeline.decode.colour_description import Chromaticities

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
"""Of rows."""

D50: Vector = (0.9642, 1.0, 0.8249)
"""The white of the profile connection space (ICC.1:2022, 7.2.16)."""

_BRADFORD: Matrix = (
    (0.8951, 0.2664, -0.1614),
    (-0.7502, 1.7135, 0.0367),
    (0.0389, -0.0685, 1.0296),
)
"""ICC.1:2022, annex E.3."""

_MIN_DETERMINANT = 1e-4
_MAX_COLORANT = 8.0


def adapted_colorants(primaries: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to CIE XYZ whose white is D50. Raises ValueError."""
    to_xyz = xyz_matrix(primaries)
    white = _applied(to_xyz, (1.0, 1.0, 1.0))
    cones, cones_of_d50 = _applied(_BRADFORD, white), _applied(_BRADFORD, D50)
    if min(cones) <= 0:
        raise ValueError("white has a colour that no eye sees")
    scaled = _product(_diagonal([b / a for a, b in zip(cones, cones_of_d50, strict=True)]), _BRADFORD)
    found = _product(_product(inverted(_BRADFORD), scaled), to_xyz)
    if max(abs(value) for row in found for value in row) > _MAX_COLORANT:
        raise ValueError("primaries are too far away")
    return found


def xyz_matrix(primaries: Chromaticities) -> Matrix:
    """Return the matrix from linear RGB to CIE XYZ with its own white, of luminance 1. Raises ValueError."""
    red, green, blue = ((x, y, 1 - x - y) for x, y in primaries[:3])
    columns = _transposed((red, green, blue))
    x, y = primaries.white
    if y <= 0:
        raise ValueError("white has no light")
    amounts = _applied(inverted(columns), (x / y, 1.0, (1 - x - y) / y))
    if min(amounts) <= 0:
        raise ValueError("white does not lie between the primaries")
    return _product(columns, _diagonal(amounts))


def inverted(matrix: Matrix) -> Matrix:
    """Return the inverse of a 3x3 matrix. Raises ValueError."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    if abs(determinant) < _MIN_DETERMINANT:
        raise ValueError("the matrix has no inverse")
    rows = (
        (e * i - f * h, c * h - b * i, b * f - c * e),
        (f * g - d * i, a * i - c * g, c * d - a * f),
        (d * h - e * g, b * g - a * h, a * e - b * d),
    )
    first, second, third = (tuple(value / determinant for value in row) for row in rows)
    return _vector(first), _vector(second), _vector(third)


def conversion(source: Chromaticities, target: Chromaticities) -> Matrix:
    """Return the matrix between two linear RGB spaces, white to white. Raises ValueError."""
    return _product(inverted(adapted_colorants(target)), adapted_colorants(source))


def _product(left: Matrix, right: Matrix) -> Matrix:
    first, second, third = (_applied(left, column) for column in _transposed(right))
    return _transposed((first, second, third))


def _applied(matrix: Matrix, vector: Sequence[float]) -> Vector:
    return _vector(sum(a * b for a, b in zip(row, vector, strict=True)) for row in matrix)


def _transposed(matrix: Matrix) -> Matrix:
    first, second, third = zip(*matrix, strict=True)
    return _vector(first), _vector(second), _vector(third)


def _diagonal(values: Sequence[float]) -> Matrix:
    return (values[0], 0.0, 0.0), (0.0, values[1], 0.0), (0.0, 0.0, values[2])


def _vector(values: Iterable[float]) -> Vector:
    x, y, z = values
    return x, y, z
