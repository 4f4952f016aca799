"""The three problems of the pruning benchmark: two option networks and a classifier, each with a judge."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from app.specification.toml_files import read_build_spec
from benchmarks.cases import black_scholes_basket
from benchmarks.cases.case import BenchmarkCase
from pricing.domain import Box, Feature
from pricing.draws import stream
from pricing.types import Array
from surrogate.dataset import Dataset
from surrogate.evaluation.accuracy import Prediction, accuracy, predict
from surrogate.evaluation.evaluate import reference
from surrogate.functions.network import Network, initialise, outputs
from surrogate.learning.training import draw, train
from surrogate.report.scores import OUTPUTS
from surrogate.spec import LBFGS, Adam, LevenbergMarquardt, NetworkSpec, Optimiser, SobolevLoss, TrainingSpec
from surrogate.standardisation import fit_standardisation, to_raw

EXAMPLE = Path(__file__).parent.parent.parent / "examples" / "bachelier_basket_7.toml"
# Share of the 1,797 digits that train; the others judge.
TRAINING_DIGITS = 1200
PIXEL_MAXIMUM = 16.0

Pricer = Callable[[Array], Prediction]


def seven_assets(seed: int, *, smoke: bool) -> BenchmarkCase:
    """The oversized seven-asset network: a Bachelier basket call, closed-form labels."""
    problem = read_build_spec(EXAMPLE).pricing

    def labels(features: Array) -> Prediction:
        return reference(problem, features)

    return _option("seven assets", problem.box, labels, labels, seed=seed, smoke=smoke)


def black_scholes(seed: int, *, smoke: bool) -> BenchmarkCase:
    """A five-asset Black-Scholes basket call; labels from 512 paths, the judge has 4,096 others."""
    size = (32, 64) if smoke else (512, 4096)
    few, many = (black_scholes_basket.draw(n, seed=seed, name=str(n)) for n in size)
    lower, upper = ((bound,) * 5 for bound in (black_scholes_basket.LOWER, black_scholes_basket.UPPER))
    box = Box(features=(Feature(name="spot", lower=lower, upper=upper),))
    return _option(
        "Black-Scholes basket",
        box,
        lambda spots: black_scholes_basket.greeks(spots, few),
        lambda spots: black_scholes_basket.greeks(spots, many),
        seed=seed,
        smoke=smoke,
    )


def _option(name: str, box: Box, labels: Pricer, judge: Pricer, *, seed: int, smoke: bool) -> BenchmarkCase:
    """A 32-32-32 SiLU network trained on values and deltas; R2 of value, delta and gamma on other points."""
    samples, tests = (64, 64) if smoke else (1024, 2048)
    x = box.from_uniforms(stream(f"{name}/training", seed=seed).random((samples, box.dimension)))
    label = labels(x)
    dataset = Dataset(x=torch.from_numpy(x), y=torch.from_numpy(label.value), gradient=torch.from_numpy(label.delta))
    spots = box.from_uniforms(stream(f"{name}/test", seed=seed).random((tests, box.dimension)))
    exact = judge(spots)

    def score(network: Network) -> Mapping[str, float]:
        scores = accuracy(predict(network, spots), exact)
        return {greek: known for greek in OUTPUTS if (known := scores[greek].r2) is not None}

    def recipe(*optimisers: Optimiser) -> TrainingSpec:
        return TrainingSpec(loss=SobolevLoss(order=1), optimisers=optimisers)

    training = recipe(LBFGS(iterations=5 if smoke else 300))
    generator = torch.Generator().manual_seed(seed)
    shape = NetworkSpec(hidden=(8, 8) if smoke else (32, 32, 32))
    start = draw(dataset, shape, generator=generator)
    return BenchmarkCase(
        name=name,
        dense=train(start, dataset, training, generator=generator).network,
        start=start,
        dataset=dataset,
        box=box,
        training=training,
        few=dataset.rows(slice(256)),
        fine_tuning=recipe(LBFGS(iterations=5 if smoke else 100)),
        polish=recipe(LevenbergMarquardt(starts=1, short=1, finalists=1, long=5 if smoke else 100)),
        scratch=recipe(LevenbergMarquardt(starts=4, short=20, finalists=1, long=5 if smoke else 100)),
        score=score,
    )


def digits(seed: int, *, smoke: bool) -> BenchmarkCase:
    """A 64-40-20-10 ReLU classifier of scikit-learn's digits; accuracy on held-out ones."""
    found = load_digits()
    order = stream("digits", seed=seed).permutation(len(found.data))
    x = torch.from_numpy(found.data[order] / PIXEL_MAXIMUM)
    y = torch.from_numpy(found.target[order]).long()
    first = 128 if smoke else TRAINING_DIGITS

    def score(network: Network) -> Mapping[str, float]:
        guess = outputs(network, x[TRAINING_DIGITS:]).argmax(dim=1)
        return {"accuracy": float((guess == y[TRAINING_DIGITS:]).double().mean())}

    def recipe(epochs: int) -> TrainingSpec:
        adam = Adam(epochs=2 if smoke else epochs, batch=64, learning_rate=3e-3)
        return TrainingSpec(loss=SobolevLoss(order=0), optimisers=(adam,))

    dataset, generator = Dataset(x=x[:first], y=y[:first]), torch.Generator().manual_seed(seed)
    fresh = initialise((64, 40, 20, 10), "relu", generator=generator)
    start = to_raw(fresh, fit_standardisation(dataset.x, dataset.y))
    return BenchmarkCase(
        name="digits",
        dense=train(start, dataset, recipe(60), generator=generator).network,
        start=start,
        dataset=dataset,
        box=Box(features=(Feature(name="pixel", lower=(0.0,) * 64, upper=(1.0,) * 64),)),
        training=recipe(60),
        few=dataset,
        fine_tuning=recipe(20),
        polish=recipe(20),
        scratch=recipe(60),
        score=score,
    )


CASES: Mapping[str, Callable[..., BenchmarkCase]] = {
    "seven_assets": seven_assets,
    "black_scholes": black_scholes,
    "digits": digits,
}
