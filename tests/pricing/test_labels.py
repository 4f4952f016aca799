from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
import pytest
import torch
from torch import Tensor

from pricing.errors import InvalidSpec, NonFiniteLabels, OutOfDomain
from pricing.labels import load, make_labels, save
from pricing.references.bachelier_greeks import greeks
from pricing.sampling import sample_features
from pricing.specs.draws import Draws
from pricing.specs.estimator import Conditional, Estimator, Pathwise, Smoothed
from pricing.specs.european import Call
from pricing.specs.labels import LabelSpec
from pricing.specs.problem import PricingProblem
from pricing.specs.sampler import MoneynessSampler
from tests.pricing.cases import CALL, PLAIN, asked, feature, problem_of

# Draws that do not depend on the features, so that bumped features meet the same normals.
FIXED = Draws(rotation="none")
STEP = 1e-5


@pytest.mark.parametrize("estimator", [Smoothed(width=0.1), Smoothed(kernel="silu", width=0.1), Conditional()])
def test_labels_are_derivatives_on_the_same_normals(estimator: Estimator, seven: PricingProblem, spots: Tensor) -> None:
    spec = LabelSpec(paths=64, replicates=2, draws=FIXED, estimator=estimator, directions=2, direction_law="random")
    labels = make_labels(seven, spots, spec, seed=3)
    directions = asked(labels.directions)
    for k in range(2):
        up, down = (make_labels(seven, spots + h * directions[:, k], spec, seed=3) for h in (STEP, -STEP))
        slope = (up.value - down.value) / (2 * STEP)
        torch.testing.assert_close((asked(labels.gradient) * directions[:, k]).sum(1), slope, rtol=0, atol=1e-8)
        bend = (asked(up.gradient) - asked(down.gradient)) / (2 * STEP)
        torch.testing.assert_close(asked(labels.curvature)[:, k], bend, rtol=0, atol=1e-6)


def test_pathwise_gradient_is_the_share_of_paths_in_the_money(seven: PricingProblem, spots: Tensor) -> None:
    """Delta of the raw payoff is w times a count of paths over M."""
    spec = LabelSpec(paths=64, replicates=1, draws=FIXED, estimator=Pathwise(), order=1)
    assert isinstance(seven.payoff, Call)
    share = asked(make_labels(seven, spots, spec, seed=1).gradient) / spots.new_tensor(seven.payoff.weights)
    counts = share * 64
    torch.testing.assert_close(counts, counts.round(), rtol=0, atol=1e-12)
    torch.testing.assert_close(counts, counts[:, :1].expand(-1, 7), rtol=0, atol=1e-12)


@pytest.mark.parametrize("sharing", ["common", "shifted", "independent"])
@pytest.mark.parametrize("estimator", [Smoothed(), Conditional(normal="first")])
def test_within_four_standard_errors_of_the_closed_form(
    sharing: Literal["common", "shifted", "independent"], estimator: Estimator, long_short: PricingProblem
) -> None:
    spec = LabelSpec(
        samples=8,
        paths=256,
        replicates=16,
        draws=Draws(sharing=sharing, rotation="none"),
        estimator=estimator,
        sampler=MoneynessSampler(bound=1.5),
        direction_law="random",
    )
    x = sample_features(long_short, spec, seed=8)
    labels, exact = make_labels(long_short, x, spec, seed=8), greeks(long_short, x.numpy())
    hv = np.einsum("nij,nkj->nki", exact.gamma, asked(labels.directions).numpy())
    for name, truth in (("value", exact.value), ("gradient", exact.delta), ("curvature", hv)):
        error = asked(getattr(labels, f"{name}_error")).numpy()
        assert (np.abs(asked(getattr(labels, name)).numpy() - truth) < 4.0 * error + 1e-5 * np.abs(truth)).all(), name


def test_default_labels_of_the_seven_asset_case(seven: PricingProblem) -> None:
    """8192 paths and a pilot, shared by every sample: 1e-4 of the value's scale, 1e-3 of a delta, 1 % of gamma."""
    spec = LabelSpec(samples=64, paths=1024)
    x = sample_features(seven, spec, seed=0)
    labels, exact = make_labels(seven, x, spec, seed=0), greeks(seven, x.numpy())
    np.testing.assert_allclose(labels.value, exact.value, atol=1e-4 * 0.2)
    np.testing.assert_allclose(asked(labels.gradient), exact.delta, atol=1e-3)
    hv = np.einsum("nij,nkj->nki", exact.gamma, asked(labels.directions).numpy())
    np.testing.assert_allclose(asked(labels.curvature), hv, atol=0.01 * np.abs(hv).max())


def test_the_seed_decides_every_bit(seven: PricingProblem, spots: Tensor) -> None:
    spec = LabelSpec(paths=64, replicates=2, direction_law="random")
    first, again, other = (make_labels(seven, spots, spec, seed=seed) for seed in (1, 1, 2))
    for name in ("value", "gradient", "directions", "curvature", "value_error", "gradient_error", "curvature_error"):
        assert torch.equal(asked(getattr(first, name)), asked(getattr(again, name)))
        assert not torch.equal(asked(getattr(first, name)), asked(getattr(other, name)))


def test_samples_do_not_depend_on_their_neighbours(seven: PricingProblem, spots: Tensor) -> None:
    spec = LabelSpec(paths=64, draws=FIXED, order=1)
    whole, few = make_labels(seven, spots, spec, seed=1), make_labels(seven, spots[:5], spec, seed=1)
    torch.testing.assert_close(whole.value[:5], few.value, rtol=1e-14, atol=0)
    torch.testing.assert_close(asked(whole.gradient)[:5], asked(few.gradient), rtol=1e-14, atol=0)


def test_order_decides_what_is_labelled(seven: PricingProblem, spots: Tensor) -> None:
    names = ("value", "gradient", "curvature")
    for order in range(3):
        spec = msgspec.convert({"paths": 8, "replicates": 1, "order": order}, LabelSpec)
        labels = make_labels(seven, spots, spec, seed=0)
        for degree, name in enumerate(names):
            assert (getattr(labels, name) is not None) == (degree <= order)
            assert getattr(labels, f"{name}_error") is None  # one replicate measures no error
        assert (labels.directions is not None) == (order == 2)


@pytest.mark.parametrize(
    ("changes", "paths", "payoffs"),
    [
        ({}, 4 * 8 + 16, 16 * 8 * 4 + 16),
        ({"draws": Draws(sharing="shifted", rotation="none")}, 16 * 4 * 8, 16 * 8 * 4),
        ({"draws": Draws(sharing="independent", rotation="none")}, 16 * 4 * 8, 16 * 8 * 4),
        ({"order": 2}, 4 * 8 + 16, 16 * 8 * 5 + 16),
        ({"order": 2, "direction_law": "random"}, 4 * 8 + 16, 16 * 8 * 4 + 16),
    ],
)
def test_budget(changes: dict[str, object], paths: int, payoffs: int, seven: PricingProblem, spots: Tensor) -> None:
    spec = msgspec.structs.replace(LabelSpec(paths=8, replicates=4, order=1, draws=Draws(pilot=16)), **changes)
    labels = make_labels(seven, spots, spec, seed=0)
    assert (labels.paths, labels.payoffs) == (paths, payoffs)


def test_principal_direction_of_a_basket_is_its_weights(seven: PricingProblem, spots: Tensor) -> None:
    directions = asked(make_labels(seven, spots, LabelSpec(paths=8, directions=7), seed=0).directions)
    assert isinstance(seven.payoff, Call)
    w = torch.tensor(seven.payoff.weights, dtype=torch.float64)
    torch.testing.assert_close(directions[:, 0], (w / w.norm()).expand(16, -1), rtol=0, atol=1e-12)
    gram = directions @ directions.transpose(1, 2)
    torch.testing.assert_close(gram, torch.eye(7, dtype=torch.float64).expand(16, -1, -1), rtol=0, atol=1e-12)


def test_principal_direction_is_found_in_units_of_the_box() -> None:
    """Over the Box a spot moves values by 30 and a volatility by 4, although vega is 40 and delta 0.5."""
    problem = problem_of(PLAIN, CALL, feature("volatility", 0.15, 0.25), spots=(70.0, 130.0))
    spec = LabelSpec(samples=16, paths=8)
    features = sample_features(problem, spec, seed=0)
    direction = asked(make_labels(problem, features, spec, seed=0).directions)[0, 0].numpy()
    shares = np.abs(direction) / (problem.box.upper - problem.box.lower)
    assert shares[1] < 0.3 * shares[0]


def test_random_directions_have_unit_second_moment(single: PricingProblem) -> None:
    x = torch.full((4096, 1), 1.0, dtype=torch.float64)
    spec = LabelSpec(paths=1, replicates=1, direction_law="random", directions=2)
    v = asked(make_labels(single, x, spec, seed=0).directions)[..., 0]
    moments = (v.T @ v / len(v)).numpy()
    np.testing.assert_allclose(moments, np.eye(2), atol=4.0 * np.sqrt(2.0 / 4096))


def test_progress_rises_to_one(seven: PricingProblem, spots: Tensor) -> None:
    seen: list[float] = []
    make_labels(seven, spots, LabelSpec(paths=1 << 15, replicates=2, order=0), seed=0, progress=seen.append)
    assert seen == sorted(seen)
    assert len(seen) > 2
    assert seen[-1] == 1.0


def test_no_time_left(single: PricingProblem) -> None:
    """Labels at maturity are the payoff: its value and slope, and no curvature off the kink."""
    x = torch.tensor([[0.9], [1.3]], dtype=torch.float64)
    for estimator in (Smoothed(), Conditional()):
        labels = make_labels(
            msgspec.structs.replace(single, maturity=0.0), x, LabelSpec(paths=4, estimator=estimator), seed=0
        )
        np.testing.assert_allclose(labels.value, [0.2, 0.0], atol=1e-15)
        assert asked(labels.gradient).ravel().tolist() == [-1.0, 0.0]
        assert asked(labels.curvature).ravel().tolist() == [0.0, 0.0]


def test_labels_that_overflow_name_the_sample(seven: PricingProblem, spots: Tensor) -> None:
    problem = msgspec.structs.replace(seven, payoff=Call(weights=(10.0,) * 7, strike=1.1))
    spots[3, 2] = 1e308
    with pytest.raises(NonFiniteLabels, match=r"sample 3: value is inf at features \["):
        make_labels(problem, spots, LabelSpec(paths=4), seed=0)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(bad: float, seven: PricingProblem, spots: Tensor) -> None:
    spots[3, 2] = bad
    with pytest.raises(OutOfDomain, match="sample 3: features must be finite"):
        make_labels(seven, spots, LabelSpec(paths=4), seed=0)


def test_more_principal_directions_than_features(seven: PricingProblem, spots: Tensor) -> None:
    with pytest.raises(InvalidSpec, match="at most 7 "):
        make_labels(seven, spots, LabelSpec(paths=4, directions=8), seed=0)


def test_labels_and_their_errors_survive_a_file(seven: PricingProblem, spots: Tensor, tmp_path: Path) -> None:
    for replicates in (1, 3):
        labels = make_labels(seven, spots, LabelSpec(paths=16, replicates=replicates), seed=1)
        save(labels, tmp_path / "a.npz")
        again = load(tmp_path / "a.npz")
        assert (again.paths, again.payoffs) == (labels.paths, labels.payoffs)
        for name, saved in vars(labels).items():
            if isinstance(saved, Tensor):
                assert torch.equal(vars(again)[name], saved)
        assert (again.curvature_error is None) == (replicates == 1)
        save(again, tmp_path / "b.npz")
        assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_any_number_of_threads_gives_the_same_labels(seven: PricingProblem, spots: Tensor) -> None:
    spec, told, threads = LabelSpec(paths=64, replicates=5), list[float](), torch.get_num_threads()
    alone = make_labels(seven, spots, spec, seed=3)
    together = make_labels(seven, spots, spec, seed=3, threads=3, progress=told.append)
    for name in ("value", "gradient", "curvature", "value_error", "gradient_error", "curvature_error"):
        assert torch.equal(getattr(together, name), getattr(alone, name))
    assert told == sorted(told)
    assert told[-1] == 1.0
    assert torch.get_num_threads() == threads


def test_labels_that_nobody_waits_for_are_not_made(seven: PricingProblem, spots: Tensor) -> None:
    """One thread's failure ends the others at their next batch."""
    told = list[float]()

    def stop(done: float) -> None:
        told.append(done)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_labels(seven, spots, LabelSpec(paths=64, replicates=64), seed=3, threads=2, progress=stop)
    assert len(told) < 8
