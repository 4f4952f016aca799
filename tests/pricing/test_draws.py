from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
import torch
from scipy.stats import kstest

from pricing.draws import Source, independent, path_sets, principal_axes, stream, to_normals, uniforms
from pricing.processes.bachelier import simulate, step_factors
from pricing.simulation.scenario import scenario
from pricing.specs.draws import Draws
from pricing.specs.european import Call
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier
from pricing.types import Array

SOURCES: tuple[Source, ...] = ("pseudo", "antithetic", "sobol")
SETTINGS = [
    ("pseudo", "common"),
    ("antithetic", "common"),
    ("sobol", "common"),
    ("sobol", "shifted"),
    ("pseudo", "independent"),
    ("antithetic", "independent"),
    ("sobol", "independent"),
]
# Largest Kolmogorov-Smirnov statistic times sqrt(n) that chance exceeds once in a thousand.
KOLMOGOROV = 1.95
ONE_YEAR = torch.ones(1, 1, 1, dtype=torch.float64)


def test_stream_is_a_function_of_seed_name_and_index() -> None:
    def draw(name: str, *index: int, seed: int) -> Array:
        return stream(name, *index, seed=seed).random(4096)

    first = draw("paths", 0, seed=1)
    np.testing.assert_array_equal(first, draw("paths", 0, seed=1))
    for other in (draw("pilot", 0, seed=1), draw("paths", 1, seed=1), draw("paths", seed=1), draw("paths", 0, seed=2)):
        assert abs(np.corrcoef(first, other)[0, 1]) < 4.0 / np.sqrt(4096)


@pytest.mark.parametrize(("source", "sharing"), SETTINGS)
def test_variance_and_law_at_the_paths_end(
    source: Source, sharing: Literal["common", "shifted", "independent"], seven: PricingProblem
) -> None:
    """The basket at maturity is normal with standard deviation 0.2, on the paths of one sample and over the samples."""
    batch, paths = (1, 8192) if sharing == "common" else (8, 1024)
    draws = path_sets(Draws(source=source, sharing=sharing), paths, 7, generator=stream("paths", seed=5))
    assert isinstance(seven.process, Bachelier)
    at = scenario(seven, torch.ones(batch, 7, dtype=torch.float64))
    terminal = simulate(seven.process, at, torch.from_numpy(draws(batch)), ONE_YEAR)
    assert isinstance(seven.payoff, Call)
    z = ((terminal.basket(seven.payoff.weights) - sum(seven.payoff.weights)) / 0.2).numpy()
    assert z.shape == (batch, paths)
    # Var of the sample variance of n normals is 2 / n; antithetic pairs are n / 2 independent ones.
    independent = z.size / (2 if source == "antithetic" else 1)
    assert abs(z.var() - 1.0) < 4.0 * np.sqrt(2.0 / independent)
    assert kstest(z.ravel(), "norm").statistic < KOLMOGOROV / np.sqrt(independent)
    for row in z:
        assert kstest(row, "norm").statistic < 2.0 * KOLMOGOROV / np.sqrt(independent / batch)


@pytest.mark.parametrize("source", SOURCES)
def test_covariance_of_all_assets_at_the_paths_end(source: Source, long_short: PricingProblem) -> None:
    assert isinstance(long_short.process, Bachelier)
    paths, until = 1 << 14, long_short.maturity * ONE_YEAR
    normals = to_normals(uniforms(source, paths, 3, generator=stream("law", seed=1)))
    at = scenario(long_short, torch.zeros(1, 3, dtype=torch.float64))
    ends = simulate(long_short.process, at, torch.from_numpy(normals)[None], until).noise[0, :, 0].numpy()
    A = step_factors(long_short.process, at, until)[0, 0].numpy()
    expected, covariance = A @ A.T, ends.T @ ends / paths
    deviation = np.sqrt(np.diag(expected))
    bound = 4.0 * np.sqrt(2.0 * 2.0 / paths)
    assert np.abs((covariance - expected) / np.outer(deviation, deviation)).max() < bound


def test_antithetic_paths_come_in_opposite_pairs() -> None:
    z = to_normals(uniforms("antithetic", 64, 5, generator=stream("pairs", seed=0)))
    np.testing.assert_allclose(z[:32], -z[32:], atol=1e-13)


def test_sobol_puts_one_point_in_every_stratum() -> None:
    u = uniforms("sobol", 256, 9, generator=stream("strata", seed=0))
    assert (np.sort(np.floor(u * 256).astype(int), axis=0) == np.arange(256)[:, None]).all()
    assert uniforms("sobol", 100, 2, generator=stream("strata", seed=0)).shape == (100, 2)


def test_shift_keeps_the_spacing_of_the_shared_set() -> None:
    """Every sample of a shifted set sees the same points moved around the torus, by its own amount."""
    draws = path_sets(Draws(sharing="shifted"), 64, 3, generator=stream("shift", seed=2))
    u = torch.special.ndtr(torch.from_numpy(draws(4))).numpy()
    steps = np.sort((u - u[:, :1]) % 1.0, axis=1)
    np.testing.assert_allclose(steps[1:], np.broadcast_to(steps[0], steps[1:].shape), atol=1e-9)
    assert len(np.unique(u[:, 0, 0])) == 4


@pytest.mark.parametrize(("source", "sharing"), SETTINGS)
def test_batches_do_not_change_the_draws(source: Source, sharing: Literal["common", "shifted", "independent"]) -> None:
    draws = Draws(source=source, sharing=sharing)
    whole = path_sets(draws, 16, 3, generator=stream("cut", seed=3))(6)
    cut = path_sets(draws, 16, 3, generator=stream("cut", seed=3))
    pieces = np.concatenate([np.broadcast_to(cut(n), (n, 16, 3)) for n in (1, 3, 2)])
    np.testing.assert_array_equal(np.broadcast_to(whole, (6, 16, 3)), pieces)


@pytest.mark.parametrize(("source", "points"), [("pseudo", 4), ("antithetic", 4), ("antithetic", 2), ("pseudo", 1)])
def test_independent_sets_are_drawn_one_after_the_other(source: Source, points: int) -> None:
    together = independent(source, 5, (points, 3), generator=stream("sets", seed=1))
    single = stream("sets", seed=1)
    alone = [uniforms(source, points, 3, generator=single) for _ in range(5)]
    np.testing.assert_array_equal(together, np.stack(alone))


def test_one_path_a_sample_does_not_hang_on_the_features() -> None:
    """With both from Sobol sequences, path and feature of a sample are independent: no correlation, uniform cells."""
    samples = 1 << 14
    features = uniforms("sobol", samples, 2, generator=stream("features", seed=3))
    paths = independent("sobol", samples, (1, 2), generator=stream("paths", 0, seed=3))[:, 0]
    for j in range(2):
        assert abs(np.corrcoef(features[:, j], paths[:, j])[0, 1]) < 4.0 / np.sqrt(samples)
        cells = np.histogram2d(features[:, j], paths[:, j], bins=8)[0]
        statistic = ((cells - samples / 64) ** 2 / (samples / 64)).sum()
        assert abs(statistic - 63) < 4.0 * np.sqrt(2 * 63)


def test_normals_are_finite_at_the_ends_of_the_unit_interval() -> None:
    z = to_normals(np.array([0.0, 0.5, 1.0]))
    assert z[0] == pytest.approx(-8.2, abs=0.05)
    assert z[1] == 0.0
    assert z[2] == pytest.approx(8.2, abs=0.05)


def test_principal_axes_of_full_rank_are_eigenvectors() -> None:
    g = np.random.default_rng(0).standard_normal((500, 4)) * [1.0, 4.0, 2.0, 3.0]
    axes, moments = principal_axes(g), g.T @ g
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-14)
    diagonal = axes.T @ moments @ axes
    np.testing.assert_allclose(diagonal, np.diag(np.diag(diagonal)), atol=1e-10 * moments.max())
    assert (np.diff(np.diag(diagonal)) < 0.0).all()


def test_principal_axes_do_not_hang_on_rounding_where_the_rank_is_low() -> None:
    direction = np.array([3.0, -1.0, 2.0, 0.0])
    g = np.linspace(-1.0, 1.0, 50)[:, None] * direction
    axes = principal_axes(g)
    np.testing.assert_allclose(axes[:, 0], direction / np.linalg.norm(direction), atol=1e-14)
    np.testing.assert_allclose(axes.T @ axes, np.eye(4), atol=1e-14)
    noise = 1e-12 * np.random.default_rng(1).standard_normal(g.shape)
    np.testing.assert_allclose(principal_axes(g + noise), axes, atol=1e-10)


def test_principal_axes_of_nothing_are_the_unit_vectors() -> None:
    np.testing.assert_array_equal(principal_axes(np.zeros((8, 3))), np.eye(3))
