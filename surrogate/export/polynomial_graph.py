"""Polynomials as nodes of an ONNX graph, and back.

The Hermite table by its recurrence, all axes at once; the terms as products of its columns; one matrix product for
value, gradient and Hessian together. The constant term is the offset of that product, and a term is made of as many
columns as it has axes, so that the polynomial of one axis is its table.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from pricing.regression import exponents, pairs
from surrogate.export.graph import Graph, Names, mapped_out
from surrogate.functions.polynomial import FARTHEST, PolynomialSurrogate

# Metadata by which a file says that it holds a polynomial.
DEGREE = "polynomial_degree"
MATRIX, OFFSET = "polynomial_axes", "polynomial_offset"
COEFFICIENTS, CONSTANTS = "polynomial_coefficients", "polynomial_constants"


def add_polynomial(graph: Graph, surrogate: PolynomialSurrogate, source: str, names: Names) -> None:
    """Value [n], gradient [n, d] and Hessian [n, d, d] of the tensor ``source`` [n, d], under ``names``."""
    d, axes = surrogate.matrix.shape
    matrix = surrogate.matrix.numpy()
    z = graph.node("Gemm", source, graph.constant(MATRIX, matrix), graph.constant(OFFSET, surrogate.offset.numpy()))
    z = graph.node("Max", z, graph.constant("nearest", -FARTHEST))
    z = graph.node("Min", z, graph.constant("farthest", FARTHEST))
    table = graph.node("Concat", *_hermite(graph, z, surrogate.degree), axis=1)
    groups = _groups(exponents(axes, surrogate.degree))
    order = torch.cat([rows for rows, _ in groups])
    terms = [_products(graph, table, columns.numpy(), width=surrogate.degree * axes) for _, columns in groups]
    phi = graph.node("Concat", *terms, axis=1) if len(terms) > 1 else terms[0]
    numbers = surrogate.derivatives
    coefficients = graph.constant(COEFFICIENTS, numbers[order].numpy())
    numbers_by_z = graph.node("Gemm", phi, coefficients, graph.constant(CONSTANTS, numbers[0].numpy()))
    graph.node("Reshape", _columns(graph, numbers_by_z, 0, 1), graph.integers([-1]), name=names[0])
    turned = graph.constant("polynomial_axes_turned", matrix.T)
    graph.node("MatMul", _columns(graph, numbers_by_z, 1, 1 + axes), turned, name=names[1])
    places = graph.constant("polynomial_pairs", (1 + axes + pairs(axes)).flatten().numpy(), np.int64)
    flat = mapped_out(graph, matrix.T, turned, graph.node("Gather", numbers_by_z, places, axis=1))
    graph.node("Reshape", flat, graph.integers([-1, d, d]), name=names[2])


def metadata(surrogate: PolynomialSurrogate) -> dict[str, str]:
    """What it takes to read a polynomial back, besides its constants."""
    return {DEGREE: str(surrogate.degree)}


def read_constants(constants: Mapping[str, Tensor], properties: Mapping[str, str]) -> PolynomialSurrogate:
    """The polynomial of a file's constants and metadata; exact in float64.

    Shape: constants axes feature axis, offset axis, coefficients term-1 1+axis+pair, constants 1+axis+pair.
    """
    degree = int(properties[DEGREE])
    matrix, rest = constants[MATRIX], constants[COEFFICIENTS][:, 0]
    order = torch.cat([rows for rows, _ in _groups(exponents(matrix.shape[1], degree))])
    coefficients = constants[CONSTANTS][0].repeat(len(rest) + 1)
    coefficients[order] = rest
    return PolynomialSurrogate(matrix=matrix, offset=constants[OFFSET], degree=degree, coefficients=coefficients)


def _hermite(graph: Graph, z: str, degree: int) -> list[str]:
    """he_1, ..., he_degree: he_n = (z he_{n-1} - sqrt(n - 1) he_{n-2}) / sqrt(n)."""
    table = [graph.one(), z]
    for n in range(2, degree + 1):
        before = table[-2]
        if n > 2:
            before = graph.node("Mul", before, graph.constant(f"root_{n - 1}", math.sqrt(n - 1)))
        risen = graph.node("Sub", graph.node("Mul", z, table[-1]), before)
        table.append(graph.node("Div", risen, graph.constant(f"root_{n}", math.sqrt(n))))
    return table[1:]


def _groups(powers: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Terms by the number of axes in them, and the columns of the table that they are products of.

    Shape: powers term axis -> each term; term factor.
    """
    axes, used = powers.shape[1], (powers > 0).sum(dim=1)
    groups = []
    for count in range(1, int(used.max()) + 1):
        rows = (used == count).nonzero()[:, 0]
        axis = (powers[rows] > 0).nonzero()[:, 1].reshape(-1, count)
        groups.append((rows, (powers[rows].gather(1, axis) - 1) * axes + axis))
    return groups


def _products(graph: Graph, table: str, columns: npt.NDArray[np.int64], *, width: int) -> str:
    """Products of columns of the table, itself where that is what is asked for. Shape: columns term factor."""
    if np.array_equal(columns[:, 0], np.arange(width)):
        return table
    count = columns.shape[1]
    product = ""
    for i, places in enumerate(columns.T):
        factor = graph.node("Gather", table, graph.constant(f"factors_{count}_{i}", places, np.int64), axis=1)
        product = graph.node("Mul", product, factor) if product else factor
    return product


def _columns(graph: Graph, source: str, start: int, stop: int) -> str:
    return graph.node("Slice", source, *(graph.integers([number]) for number in (start, stop, 1)))
