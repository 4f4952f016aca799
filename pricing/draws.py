"""Every random number: named streams, uniforms, normals, path sets, and the rotation that puts the payoff first."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Literal, assert_never

import numpy as np
from scipy.special import ndtri
from scipy.stats import qmc

from pricing.specs.draws import Draws
from pricing.types import Array

# Uniforms are kept this far from 0 and 1: |z| <= 8.2, the tail that float64 resolves on both sides.
UNIFORM_MARGIN = 1e-16
# Sobol points with as many bits as a float64 mantissa, so that no coordinate of a large set is exactly 0.
SOBOL_BITS = 53
# Axes with less than this share of the largest eigenvalue are rounding noise, not information.
NEGLIGIBLE_EIGENVALUE = 1e-12

Source = Literal["pseudo", "antithetic", "sobol"]


def stream(name: str, *index: int, seed: int) -> np.random.Generator:
    """The child generator (PCG64) of ``seed`` for one named use and index; streams do not overlap in practice.

    >>> bool(stream("paths", 1, seed=7).random() == stream("paths", 1, seed=7).random())
    True
    """
    words = np.frombuffer(hashlib.sha256(name.encode()).digest()[:16], dtype="<u4")
    return np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(*words.tolist(), *index)))


def uniforms(source: Source, points: int, dimension: int, *, generator: np.random.Generator) -> Array:
    """Points in [0, 1]^dimension: an antithetic set is u, then 1 - u; Sobol sets are balanced for powers of two.

    Shape: -> points dimension.
    """
    match source:
        case "pseudo":
            return generator.random((points, dimension))
        case "antithetic":
            half = generator.random((points // 2, dimension))
            return np.concatenate([half, 1.0 - half])
        case "sobol":
            sobol = qmc.Sobol(dimension, scramble=True, bits=SOBOL_BITS, rng=generator)
            result: Array = sobol.random_base2((points - 1).bit_length())
            return result[:points]
        case _:
            assert_never(source)


def to_normals(points: Array) -> Array:
    """Inverse normal distribution function of uniforms, float64. Shape: any -> the same."""
    result: Array = ndtri(points.clip(UNIFORM_MARGIN, 1.0 - UNIFORM_MARGIN))
    return result


def stretch(source: Source, points: int, part: range, dimension: int, *, generator: np.random.Generator) -> Array:
    """A part of a set of `uniforms`, the generator left as after the whole; an antithetic part has pairs of its own.

    Args:
        points: of the whole set, and the part's bounds in it, powers of two.

    Shape: -> point dimension.
    """
    if len(part) == points:
        return uniforms(source, points, dimension, generator=generator)
    if source == "sobol":
        sobol = qmc.Sobol(dimension, scramble=True, bits=SOBOL_BITS, rng=generator)
        for _ in range(part.start // len(part)):  # scipy's own fast_forward fails with this many bits
            sobol.random(len(part))
        drawn: Array = sobol.random(len(part))
        return drawn
    if source == "antithetic":
        half = stretch("pseudo", points // 2, range(part.start // 2, part.stop // 2), dimension, generator=generator)
        return np.concatenate([half, 1.0 - half])
    bits = generator.bit_generator
    assert isinstance(bits, np.random.PCG64)  # as `stream` gives it; one step a uniform
    bits.advance(part.start * dimension)
    drawn = generator.random((len(part), dimension))
    bits.advance((points - part.stop) * dimension)
    return drawn


def path_sets(
    draws: Draws, paths: int, dimension: int, *, generator: np.random.Generator, part: range | None = None
) -> Callable[[int], Array]:
    """A function that gives the next ``batch`` samples the normals of their paths.

    Successive calls continue the same random numbers, so how samples are cut into batches does not change them; nor
    does it how paths are cut into parts, each with a generator in the same state.

    Args:
        part: which of the paths, all if not given.

    Shape: batch -> 1 path dimension (common), batch path dimension (shifted, independent).
    """
    cut = part or range(paths)
    match draws.sharing:
        case "common":
            shared = to_normals(stretch(draws.source, paths, cut, dimension, generator=generator))[None]
            return lambda _: shared
        case "shifted":
            base = stretch(draws.source, paths, cut, dimension, generator=generator)[None]
            return lambda batch: to_normals((base + generator.random((batch, 1, dimension))) % 1.0)
        case "independent" if len(cut) == paths:
            return lambda batch: to_normals(independent(draws.source, batch, (paths, dimension), generator=generator))
        case "independent":
            return lambda batch: to_normals(
                np.stack([stretch(draws.source, paths, cut, dimension, generator=generator) for _ in range(batch)])
            )
        case _:
            assert_never(draws.sharing)


def independent(source: Source, sets: int, size: tuple[int, int], *, generator: np.random.Generator) -> Array:
    """As many sets of `uniforms`, drawn one after the other but all at once where that gives the same law.

    A scrambled Sobol set of one point is one uniform point. A single scrambled sequence over the samples would not do:
    features are one too, and two sequences that run side by side tie every path to its own features.

    Args:
        size: points and dimension of each set.

    Shape: -> set point dimension.
    """
    points, dimension = size
    if source == "sobol" and points > 1:
        return np.stack([uniforms(source, points, dimension, generator=generator) for _ in range(sets)])
    if source == "antithetic":
        half = generator.random((sets, points // 2, dimension))
        return np.concatenate([half, 1.0 - half], axis=1)
    return generator.random((sets, points, dimension))


def principal_axes(gradients: Array) -> Array:
    """Orthonormal axes of E[g g^T] as columns, largest second moment first.

    Where the moment matrix has lower rank the axes are completed from the unit vectors; every column has a positive
    largest entry, so that the result does not hang on rounding.

    Shape: batch asset -> asset asset.
    """
    moments, vectors = np.linalg.eigh(gradients.T @ gradients)
    leading = vectors[:, moments > NEGLIGIBLE_EIGENVALUE * moments[-1]][:, ::-1]
    axes, _ = np.linalg.qr(np.hstack([leading, np.eye(len(moments))]))
    largest = axes[np.abs(axes).argmax(axis=0), np.arange(len(moments))]
    result: Array = axes * np.sign(largest)
    return result
