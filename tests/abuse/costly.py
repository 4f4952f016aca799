"""Costly submissions: changes of a small job, and the limit that each breaks."""

from __future__ import annotations

from typing import Any

MILLION = 1_000_000
ADAM = {"kind": "adam", "epochs": MILLION}
ONCE = {"kind": "adam", "epochs": 1}
LM = {"kind": "levenberg_marquardt", "starts": 1000, "short": MILLION, "finalists": 1000, "long": MILLION}
LBFGS = {"kind": "lbfgs", "iterations": MILLION}
LARGE = {"labels.samples": 1 << 22, "labels.paths": 1}
HUGE_NETWORK = [4096] * 32


def assets(count: int) -> dict[str, Any]:
    """The tiny problem on so many assets."""
    unit = [[float(i == j) for j in range(count)] for i in range(count)]
    return {
        "problem.process": {"kind": "bachelier", "volatilities": [0.2] * count, "correlation": unit},
        "problem.payoff.weights": [1.0 / count] * count,
        "problem.features": [{"name": "spot", "lower": [0.5] * count, "upper": [1.5] * count}],
    }


def heston(steps: int) -> dict[str, Any]:
    """A call on one asset with a random variance."""
    process: dict[str, Any] = {
        "kind": "heston",
        "initial_variances": [0.04],
        "mean_reversions": [1.5],
        "long_variances": [0.04],
    }
    process |= {"variance_volatilities": [0.5], "spot_variance_correlations": [-0.7], "correlation": [[1.0]]}
    process |= {"steps": steps}
    return {
        "problem.process": process,
        "problem.payoff.weights": [1.0],
        "problem.features": [{"name": "spot", "lower": [0.5], "upper": [1.5]}],
    }


def dated(kind: str, dates: int) -> dict[str, Any]:
    """A payoff of many dates."""
    shares = [(i + 1) / dates for i in range(dates)]
    option = {"kind": "call", "weights": [0.5, 0.5], "strike": 1.0}
    payoff = {"option": option} if kind == "bermudan" else option
    return {"problem.payoff": payoff | {"kind": kind, "dates": shares}}


def bermudan(assets: int) -> dict[str, Any]:
    """A payoff of two exercise dates."""
    option = {"kind": "call", "weights": [1.0 / assets] * assets, "strike": 1.0}
    return {"kind": "bermudan", "dates": [0.5, 1.0], "option": option}


def pruned(method: str, **other: Any) -> dict[str, Any]:
    """Pruning of the network that is learnt."""
    return {"pruning": {"method": method, "sparsity": 0.5, **other}}


def tuned(optimiser: dict[str, Any], order: int = 1) -> dict[str, Any]:
    """Training on a loss of an order."""
    return {"loss": {"order": order}, "optimisers": [optimiser]}


# What is changed of a tiny build, and which limit it breaks.
TRAIN: dict[str, tuple[dict[str, Any], str]] = {
    "the case": ({"network.hidden": HUGE_NETWORK, "training.optimisers": [ADAM], **LARGE}, "job_seconds"),
    "epochs": ({"training.optimisers": [ADAM], **LARGE}, "job_seconds"),
    "iterations of l-bfgs": ({"training.optimisers": [LBFGS], "labels.samples": 1 << 16}, "job_seconds"),
    "history of l-bfgs": (
        {"training.optimisers": [{**LBFGS, "iterations": 3, "history": 10_000}], "network.hidden": HUGE_NETWORK},
        "job_memory",
    ),
    "starts of second order": ({"training.optimisers": [LM]}, "job_seconds"),
    "second order with curvature": (
        {"training.optimisers": [{**LM, "starts": 8, "short": 400, "finalists": 2, "long": 3000}]}
        | {"training.loss": {"order": 2}, "network.hidden": [36, 36], "labels.samples": 1 << 14},
        "job_seconds",
    ),
    "many optimisers": ({"training.optimisers": [ADAM] * 16, "labels.samples": 1 << 14}, "job_seconds"),
    "a ridge to be chosen": (
        {"training.ridge": "auto", "training.optimisers": [{**ADAM, "epochs": 100_000}]} | LARGE,
        "job_seconds",
    ),
    "paths": ({"labels.paths": 1 << 24, "labels.samples": 1 << 16, "labels.replicates": 1}, "job_seconds"),
    "replicates": ({"labels.paths": 1 << 24, "labels.replicates": 64, "labels.samples": 256}, "job_seconds"),
    "directions": (
        LARGE | {"labels.paths": 64, "labels.directions": 1000, "labels.direction_law": "random"},
        "job_seconds",
    ),
    "pilot": ({"labels.draws.pilot": 1 << 24}, "job_memory"),
    "assets": (assets(400) | {"evaluation.samples": 4096, "training.optimisers": [ONCE]}, "job_memory"),
    "time steps": (heston(4096) | {"labels.paths": 1 << 16, "labels.samples": 1 << 12}, "job_seconds"),
    "averaging dates": (dated("asian", 365) | {"labels.paths": 1 << 16, "labels.samples": 1 << 12}, "job_seconds"),
    "exercise dates": (dated("bermudan", 365) | {"labels.paths": 1 << 16, "labels.samples": 1 << 12}, "job_seconds"),
    "exercise rule": (
        assets(40) | {"problem.payoff": bermudan(40), "labels.estimator": {"kind": "frozen", "degree": 8}},
        "job_seconds",
    ),
    "evaluation": (assets(50) | {"evaluation.samples": 1 << 20}, "job_memory"),
    "the Hessian of a wide network": ({"network.hidden": HUGE_NETWORK, "training.optimisers": [ONCE]}, "job_memory"),
    "a flow": (
        {
            "labels.sampler": {
                "kind": "table",
                "states": [[1.0, 1.0], [1.1, 1.2]] * 5000,
                "flow": {"epochs": 12_500, "hidden": [512] * 8, "sparsity": 0.5},
            }
        },
        "job_seconds",
    ),
    "pruning stages": (pruned("magnitude", stages=1000, fine_tuning=tuned(ADAM)), "job_seconds"),
    "pruning rounds": (
        pruned("ntk_sap", rounds=100, draws=100) | {"network.hidden": [2048] * 4, "training.optimisers": [ONCE]},
        "job_seconds",
    ),
    "pruning rows": (
        pruned("obs", samples=1 << 22)
        | {"network.hidden": [64, 64], "training.optimisers": [ONCE]}
        | {"labels.samples": 1 << 20, "labels.paths": 1},
        "job_memory",
    ),
    "pairs of weights": (pruned("cbs") | {"network.hidden": [512] * 3, "training.optimisers": [ONCE]}, "job_seconds"),
    "sub-boxes": (
        pruned("significance", splits=4096, targets=["gamma"], enclosure="affine")
        | {"network.hidden": [512] * 8, "training.optimisers": [ONCE]},
        "job_memory",
    ),
    "dynamics": (pruned("rigl", dynamics={"optimiser": ADAM}) | LARGE, "job_seconds"),
    "fine-tuning": (pruned("chita", fine_tuning=tuned(LBFGS, order=2)) | {"labels.samples": 1 << 16}, "job_seconds"),
}

# Of the bundled model, pruned.
PRUNE: dict[str, tuple[dict[str, Any], str]] = {
    "fine-tuning": ({"pruning.fine_tuning": tuned({**ADAM, "batch": 1})}, "job_seconds"),
    "stages": (
        {"pruning.stages": 1000, "pruning.fine_tuning": tuned({**LM, "starts": 9, "short": 999})},
        "job_seconds",
    ),
    "labels": ({"labels": {"samples": 1 << 14, "paths": 1 << 24, "replicates": 1}}, "job_seconds"),
    "rounds": (
        {"pruning.method": "ntk_sap", "pruning.rounds": 10_000, "pruning.fine_tuning": tuned({**ADAM, "batch": 1})},
        "job_seconds",
    ),
    "dynamics": ({"pruning.method": "set", "pruning.dynamics": {"optimiser": {**ADAM, "batch": 1}}}, "job_seconds"),
}
# Of the bundled model, trained again.
RETRAIN: dict[str, tuple[dict[str, Any], str]] = {
    "paths": ({"changes": {"labels.paths": 1 << 24, "labels.samples": 1 << 14, "labels.replicates": 1}}, "job_seconds"),
    "network": ({"changes": {"network.hidden": HUGE_NETWORK, "training.optimisers": [ONCE]}}, "job_memory"),
    "epochs": ({"changes": {"training.optimisers": [{**ADAM, "batch": 1}]}}, "job_seconds"),
    "the labels of a model": (
        {"changes": {"labels.model": "bachelier-basket-7", "labels.samples": 1 << 20, "training.optimisers": [ADAM]}},
        "job_seconds",
    ),
    "pruning": (
        {"changes": {"pruning": {"method": "set", "sparsity": 0.5, "dynamics": {"optimiser": {**ADAM, "batch": 1}}}}},
        "job_seconds",
    ),
}
# From a small dataset.
DATASET: dict[str, tuple[dict[str, Any], str]] = {
    "epochs": ({"training": tuned({**ADAM, "batch": 1})}, "job_seconds"),
    "network": ({"training": tuned(ONCE), "network": {"hidden": HUGE_NETWORK}}, "job_memory"),
    "second order": ({"training": tuned(LM) | {"ridge": 0.0}}, "job_seconds"),
    "a ridge to be chosen": ({"training": tuned({**ADAM, "epochs": 300_000})}, "job_seconds"),
}
