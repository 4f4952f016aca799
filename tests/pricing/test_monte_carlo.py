from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Literal
from weakref import ReferenceType

import msgspec
import numpy as np
import pytest
import torch
from msgspec.structs import replace
from torch import Tensor

from pricing import monte_carlo
from pricing.errors import InvalidSpec, OutOfDomain
from pricing.estimators.contribute import contribution
from pricing.labels import derivatives, make_labels
from pricing.monte_carlo import average, expectation, find_rotation, prepare, value
from pricing.processes.bachelier import step_factors
from pricing.references.bachelier_greeks import greeks
from pricing.sampling import sample_features
from pricing.simulation.scenario import scenario, times
from pricing.simulation.smoothing import value_bias
from pricing.specs.draws import Draws
from pricing.specs.estimator import Automatic, Conditional, Estimator, Frozen, Pathwise, Smoothed
from pricing.specs.european import BestOf, Call, Put, WorstOf
from pricing.specs.labels import LabelSpec
from pricing.specs.payoff import Bermudan, Payoff
from pricing.specs.problem import PricingProblem
from pricing.specs.process import Bachelier, Process
from pricing.specs.sampler import MoneynessSampler
from pricing.types import Array
from tests.pricing.cases import CALL, PLAIN, STOCHASTIC, SURFACE, WRITTEN, alike, feature, problem_of, uncorrelated

Sharing = Literal["common", "shifted", "independent"]
SOURCES = ("pseudo", "antithetic", "sobol")
RAW = LabelSpec(paths=256, replicates=16, order=0, estimator=Pathwise())


def drawn(source: str, sharing: Sharing = "common", *, rotation: str = "none") -> Draws:
    return msgspec.convert({"source": source, "sharing": sharing, "rotation": rotation}, Draws)


def deviations(problem: PricingProblem, x: Tensor, spec: LabelSpec) -> Array:
    """(estimate - closed form) / standard error."""
    estimate = value(problem, x, spec, seed=11)
    assert estimate.standard_error is not None
    return np.asarray((estimate.value.numpy() - greeks(problem, x.numpy()).value) / estimate.standard_error.numpy())


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("sharing", ["common", "shifted", "independent"])
@pytest.mark.parametrize("rotation", ["none", "gradient_pca"])
def test_four_standard_errors(
    source: str, sharing: Sharing, rotation: str, seven: PricingProblem, spots: Tensor
) -> None:
    if sharing == "shifted" and source != "sobol":
        with pytest.raises(msgspec.ValidationError, match="shifted"):
            drawn(source, sharing)
        return
    spec = replace(RAW, draws=drawn(source, sharing, rotation=rotation))
    assert np.abs(deviations(seven, spots, spec)).max() < 4.0


@pytest.mark.parametrize("estimator", [Pathwise(), Smoothed(), Conditional(normal="first")])
def test_every_estimator_with_carry(estimator: Estimator, long_short: PricingProblem) -> None:
    spec = replace(RAW, samples=8, estimator=estimator, draws=drawn("pseudo"), sampler=MoneynessSampler(bound=1.5))
    x = sample_features(long_short, spec, seed=0)
    assert np.abs(deviations(long_short, x, spec)).max() < 4.0


@pytest.mark.parametrize(("source", "sharing"), [("pseudo", "independent"), ("sobol", "shifted"), ("sobol", "common")])
def test_error_bars_are_calibrated(source: str, sharing: Sharing, seven: PricingProblem) -> None:
    """With 16 replicates the ratio is Student's t: root mean square sqrt(15 / 13) over independent samples."""
    x = 1.1 + 0.2 * (torch.rand((256, 7), dtype=torch.float64, generator=torch.Generator().manual_seed(3)) - 0.5)
    spec = replace(RAW, paths=64, draws=drawn(source, sharing))
    ratio = deviations(seven, x, spec)
    if sharing == "common":  # one path set: one error shared by all samples, only its size can be checked
        assert np.abs(ratio).max() < 4.0
    else:
        assert np.sqrt((ratio**2).mean()) == pytest.approx(np.sqrt(15.0 / 13.0), rel=0.15)


def rate(problem: PricingProblem, x: Tensor, draws: Draws) -> float:
    """Exponent p of an error M^-p between 64 and 4096 paths."""
    errors = []
    for paths in (64, 4096):
        estimate = value(problem, x, replace(RAW, paths=paths, replicates=32, draws=draws), seed=2)
        assert estimate.standard_error is not None
        errors.append(float(estimate.standard_error.square().mean().sqrt()))
    return float(np.log(errors[0] / errors[1]) / np.log(64.0))


def test_convergence_rates(seven: PricingProblem, spots: Tensor) -> None:
    """1 / sqrt(M) for pseudo-random paths, near 1 / M for rotated Sobol, between them in the Cholesky order."""
    assert rate(seven, spots, drawn("pseudo")) == pytest.approx(0.5, abs=0.08)
    assert rate(seven, spots, drawn("antithetic")) == pytest.approx(0.5, abs=0.08)
    cholesky, rotated = (rate(seven, spots, drawn("sobol", rotation=r)) for r in ("none", "gradient_pca"))
    assert 0.6 < cholesky < rotated
    assert rotated > 0.9


def test_antithetic_halves_the_variance_at_the_money(seven: PricingProblem) -> None:
    """Pair variance 0.0908 against 0.1704 of the mean of two independent paths (units of s^2)."""
    assert isinstance(seven.payoff, Call)
    x = torch.full((32, 7), 1.1, dtype=torch.float64) / sum(seven.payoff.weights)
    errors = []
    for source in ("pseudo", "antithetic"):
        spec = replace(RAW, paths=128, replicates=32, draws=drawn(source, "independent"))
        estimate = value(seven, x, spec, seed=5)
        assert estimate.standard_error is not None
        errors.append(float(estimate.standard_error.square().mean()))
    assert errors[0] / errors[1] == pytest.approx(0.1704 / 0.0908, rel=0.15)


@pytest.mark.parametrize("kernel", ["silu", "softplus", "gaussian"])
def test_bias_of_smoothing_is_as_stated(kernel: Literal["silu", "softplus", "gaussian"], seven: PricingProblem) -> None:
    x = torch.full((1, 7), 1.1, dtype=torch.float64)
    spec = replace(
        RAW, paths=4096, draws=drawn("sobol", rotation="gradient_pca"), estimator=Smoothed(kernel=kernel, width=0.05)
    )
    exact = greeks(seven, x.numpy())
    bias = float(value(seven, x, spec, seed=1).value[0]) - exact.value[0]
    assert bias == pytest.approx(0.2 * value_bias(kernel, 0.05, float(exact.moneyness[0])), rel=0.1)


def test_rotation_finds_the_direction_of_the_basket(problem: PricingProblem) -> None:
    """For a Bachelier basket gradient PCA is the linear transformation of Imai & Tan (2006): A^T w first."""
    x = torch.from_numpy(problem.box.from_uniforms(np.random.default_rng(1).random((8, problem.box.dimension))))
    spec = LabelSpec(draws=Draws(pilot=64), estimator=Pathwise(), order=0)
    (matrix,) = find_rotation(problem, x, contribution(problem, spec.estimator, seed=0), spec, seed=0).matrices
    Q = matrix.numpy()
    process, payoff, at = problem.process, problem.payoff, scenario(problem, x)
    assert isinstance(process, Bachelier)
    assert isinstance(payoff, Call | Put)
    factor = step_factors(process, at, times(problem, at))[0, 0].numpy()
    direction = factor.T @ np.array(payoff.weights)
    np.testing.assert_allclose(Q @ Q.T, np.eye(len(Q)), atol=1e-13)
    assert abs(Q[:, 0] @ direction) == pytest.approx(np.linalg.norm(direction), rel=1e-12)
    assert np.abs(direction @ Q[:, 1:]).max(initial=0.0) < 1e-12 * np.linalg.norm(direction)


def test_rotation_keeps_the_expectation(long_short: PricingProblem) -> None:
    """The rotated problem on turned-back normals is the same number, path by path."""
    x = torch.tensor([[100.0, 90.0, 95.0]], dtype=torch.float64)
    plain, turned = (
        prepare(long_short, x, replace(RAW, draws=drawn("sobol", rotation=r)), seed=0) for r in ("none", "gradient_pca")
    )
    z = torch.randn((1, 32, 3), dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (matrix,) = turned.rotation.matrices
    back = z @ matrix
    torch.testing.assert_close(expectation(plain, x, z), expectation(turned, x, back), rtol=1e-13, atol=0)


@pytest.mark.parametrize(
    ("source", "sharing"),
    [
        ("sobol", "common"),
        ("sobol", "shifted"),
        ("sobol", "independent"),
        ("pseudo", "common"),
        ("pseudo", "independent"),
        ("antithetic", "common"),
        ("antithetic", "independent"),
    ],
)
def test_paths_in_parts_give_the_same_labels(
    source: str, sharing: Sharing, long_short: PricingProblem, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little memory there is, the numbers are the same but for rounding."""
    x = torch.tensor([[100.0, 90.0, 95.0], [110.0, 80.0, 100.0]], dtype=torch.float64)
    spec = LabelSpec(paths=256, replicates=2, draws=drawn(source, sharing), estimator=Smoothed(width=0.1))
    whole = make_labels(long_short, x, spec, seed=1)
    monkeypatch.setattr(monte_carlo, "PART_NUMBERS", 1 << 13)
    assert len(prepare(long_short, x, spec, seed=1).parts) > 4
    in_parts = make_labels(long_short, x, spec, seed=1)
    for name in ("value", "gradient", "curvature"):
        torch.testing.assert_close(getattr(in_parts, name), getattr(whole, name), rtol=1e-12, atol=1e-14)


def test_average_of_replicates() -> None:
    (estimate,) = average(iter([(torch.tensor([1.0, 4.0]),), (torch.tensor([3.0, 4.0]),)]))
    assert estimate.value.tolist() == [2.0, 4.0]
    assert estimate.standard_error is not None
    assert estimate.standard_error.tolist() == pytest.approx([1.0, 0.0])
    assert average([(torch.ones(2),)])[0].standard_error is None


def test_average_holds_one_replicate_at_a_time() -> None:
    alive = list[ReferenceType[Tensor]]()

    def replicates() -> Iterator[tuple[Tensor]]:
        for index in range(8):
            assert sum(reference() is not None for reference in alive) <= 1
            label = torch.full((3,), float(index))
            alive.append(weakref.ref(label))
            yield (label,)
            del label

    (estimate,) = average(replicates())
    assert estimate.value.tolist() == [3.5] * 3
    assert estimate.standard_error is not None
    assert estimate.standard_error.tolist() == pytest.approx([np.sqrt(6.0 / 8.0)] * 3)


THREE = alike(PLAIN, ((1.0, 0.5, 0.5), (0.5, 1.0, 0.5), (0.5, 0.5, 1.0)))
UNIT = replace(CALL, strike=1.0)
HEAVY: dict[str, tuple[Process, Payoff]] = {
    "basket": (THREE, Call(weights=(0.3,) * 3, strike=1.0)),
    "worst_of": (THREE, WorstOf(initial=(1.0,) * 3, strike=1.0, side="put")),
    "bermudan": (THREE, Bermudan(option=BestOf(initial=(1.0,) * 3, strike=1.0), dates=(0.5, 1.0))),
    "heston": (STOCHASTIC, UNIT),
    "local_volatility": (replace(SURFACE, reference_spots=(1.0,)), UNIT),
    "ito_diffusion": (replace(WRITTEN, diffusions=("0.2 * S^0.8 / sqrt(1 + S^2)",)), UNIT),
}


@pytest.mark.parametrize("name", HEAVY)
@pytest.mark.parametrize("smoothed", [False, True])
def test_the_graph_keeps_no_more_than_is_planned_for(name: str, smoothed: bool) -> None:
    """Numbers a path that the backward passes of curvature labels keep; at least twice as many is the peak."""
    process, payoff = HEAVY[name]
    moving = (feature("volatility_scale", 0.5, 1.5), feature("maturity", 0.5, 1.5))
    problem = problem_of(process, payoff, *moving, spots=(0.5, 1.5))
    estimator = Frozen(paths=1 << 10) if name == "bermudan" else Smoothed() if smoothed else Automatic()
    spec = LabelSpec(paths=256, estimator=estimator, draws=Draws(pilot=16))
    x = torch.tensor([[*[1.0 + 0.01 * i for i in range(process.assets)], 1.0, 1.0]], dtype=torch.float64)
    simulation, kept = prepare(problem, x, spec, seed=0), dict[int, tuple[Tensor, int]]()
    normals = torch.randn(1, 256, simulation.contribution.dimension, dtype=torch.float64)

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = tensor, storage.nbytes() // 8
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        derivatives(lambda y: expectation(simulation, y, normals), x, order=2, directions=torch.ones_like(x)[None])
    numbers = sum(size for _, size in kept.values()) / 256
    assert 2.0 * numbers <= problem.process.facts.tensors * simulation.contribution.numbers


@pytest.mark.parametrize(("name", "coordinates"), [("correlation", [1.0]), ("loading", [-1.0, 1.0])])
def test_correlations_without_a_matrix_are_refused(name: str, coordinates: list[float]) -> None:
    size = len(coordinates)
    process = Bachelier(volatilities=(0.2, 0.3), correlation=uncorrelated(2))
    dependence = feature(name, -1.0, 1.0, size=size)
    problem = problem_of(process, Call(weights=(0.5, 0.5), strike=1.0), dependence, spots=(0.5, 1.5))
    x = torch.tensor([[1.0, 1.0, *[0.5] * size], [1.0, 1.0, *coordinates]], dtype=torch.float64)
    value(problem, x[:1], LabelSpec(paths=4), seed=0)
    with pytest.raises(OutOfDomain, match="sample 1: the correlation matrix must be positive definite"):
        value(problem, x, LabelSpec(paths=4), seed=0)


@pytest.mark.parametrize("shape", [(3,), (2, 6), (0, 7)])
def test_shape_of_features(shape: tuple[int, ...], seven: PricingProblem) -> None:
    with pytest.raises(InvalidSpec, match=r"\(samples, 7\)"):
        value(seven, torch.zeros(shape, dtype=torch.float64), RAW, seed=0)
