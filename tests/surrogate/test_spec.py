"""What a specification of learning may say, and what is said of one that may not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pricing.errors import InvalidSpec
from pricing.specs.base import Spec, dump, load
from surrogate.functions.network import initialise
from surrogate.spec import (
    LBFGS,
    MAXIMUM_DEPTH,
    MAXIMUM_WIDTH,
    Adam,
    EvaluationSpec,
    LevenbergMarquardt,
    NetworkSpec,
    PolynomialSpec,
    SobolevLoss,
    TrainingSpec,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("kind", "change", "path"),
    [
        (PolynomialSpec, {"degree": 1}, "degree"),
        (PolynomialSpec, {"degree": 25}, "degree"),
        (PolynomialSpec, {"axes": -1}, "axes"),
        (PolynomialSpec, {"lost_gradient": 2.0}, "lost_gradient"),
        (PolynomialSpec, {"derivative_weight": NAN}, "derivative_weight"),
        (PolynomialSpec, {"ridge": -1.0}, "ridge"),
        (NetworkSpec, {"hidden": ()}, "hidden"),
        (NetworkSpec, {"hidden": (1,) * (MAXIMUM_DEPTH + 1)}, "hidden"),
        (NetworkSpec, {"hidden": (3, 0)}, "hidden[1]"),
        (NetworkSpec, {"hidden": (MAXIMUM_WIDTH + 1,)}, "hidden[0]"),
        (NetworkSpec, {"lost_gradient": NAN}, "lost_gradient"),
        (SobolevLoss, {"delta_weight": -1.0}, "delta_weight"),
        (SobolevLoss, {"curvature_weight": NAN}, "curvature_weight"),
        (Adam, {"kind": "adam", "batch": 0}, "batch"),
        (Adam, {"kind": "adam", "learning_rate": 0.0}, "learning_rate"),
        (LBFGS, {"kind": "lbfgs", "history": 0}, "history"),
        (LevenbergMarquardt, {"kind": "levenberg_marquardt", "starts": 0}, "starts"),
        (TrainingSpec, {"optimisers": ()}, "optimisers"),
        (TrainingSpec, {"ridge": -1.0}, "ridge"),
        (TrainingSpec, {"ridge": "none"}, "ridge"),
        (EvaluationSpec, {"samples": 3}, "samples"),
        (EvaluationSpec, {"tolerance": 2.0}, "tolerance"),
        (EvaluationSpec, {"seconds": 0.0}, "seconds"),
        (EvaluationSpec, {"seconds": NAN}, "seconds"),
        (EvaluationSpec, {"seconds": float("inf")}, "seconds"),
    ],
)
def test_what_is_wrong_with_a_specification_is_told(kind: type[Spec], change: dict[str, Any], path: str) -> None:
    with pytest.raises(InvalidSpec) as error:
        load(kind, change)
    assert error.value.fields["path"] == path


def test_terms_are_counted_before_anything_is_fitted() -> None:
    PolynomialSpec(degree=9, axes=2).require_size(7)
    with pytest.raises(InvalidSpec, match="11440 terms, at most 2048"):
        PolynomialSpec(degree=9, inputs="features").require_size(7)


@pytest.mark.parametrize(("inputs", "axes", "seen"), [("features", 0, 7), ("differential_pca", 2, 2)])
def test_parameters_are_those_of_the_network_that_is_drawn(inputs: str, axes: int, seen: int) -> None:
    spec = load(NetworkSpec, {"hidden": [5, 4], "inputs": inputs, "axes": axes})
    drawn = initialise((seen, 5, 4, 1), "silu", generator=torch.Generator().manual_seed(0))
    assert spec.parameters(7) == sum(tensor.numel() for tensor in (*drawn.weights, *drawn.biases))


@pytest.mark.parametrize(
    ("spec", "order"),
    [
        (PolynomialSpec(), 1),
        (PolynomialSpec(derivative_weight=0.0), 1),
        (PolynomialSpec(inputs="features", derivative_weight=0.0), 0),
    ],
)
def test_labels_need_the_derivatives_that_are_learnt_or_looked_at(spec: PolynomialSpec, order: int) -> None:
    assert spec.order == order


def test_a_training_comes_back_from_plain_data() -> None:
    spec = TrainingSpec(optimisers=(Adam(epochs=3), LBFGS(), LevenbergMarquardt(ridge=0.1)), ridge="auto")
    assert load(TrainingSpec, dump(spec)) == spec
