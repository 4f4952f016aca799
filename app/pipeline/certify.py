"""The step that proves what can be proven of the exported weights."""

from __future__ import annotations

from typing import Any

from app.pipeline.derived import canonical, input_box, reduction_of
from app.pipeline.folder import JobFolder
from app.pipeline.prune import starts_trained
from app.pipeline.tensors import read_final, read_trained
from app.specification.build import BuildSpec
from pricing.specs.base import load
from pricing.types import Progress
from pruning.certificates.distance import ARITHMETIC
from pruning.certificates.distance import certify as bound_difference
from pruning.certificates.shape import prove_shape
from pruning.intervals.interval import interval_of
from surrogate.artifact.manifest import Certificate
from surrogate.functions.network import Network
from surrogate.functions.surrogate import Surrogate

# What a certificate says instead of statements about the shape.
NO_SHAPE = "the payoff behind imported labels is not known, so there is no shape to prove"
NO_STATEMENT = "shapes are proven of calls and puts on a basket as functions of their spots alone"
NO_DIFFERENCE = (
    "shapes are proven of networks that are the value, and this one is its difference to a closed form; "
    'control = "none" learns the value itself'
)
NO_NETWORK = "shapes are proven of networks by bounds on their activations; a polynomial is judged at points alone"


def certify(folder: JobFolder, progress: Progress) -> None:
    """Prove the shape, and how far pruning moved a trained network."""
    build, surrogate = folder.build(), read_final(folder)
    shape, reason = shape_of(surrogate, build)
    progress(0.5)
    pruning = difference(folder, build, surrogate)
    proofs = {"shape": shape, "pruning": pruning, "arithmetic": ARITHMETIC, "no_shape": reason}
    folder.certificate.write(load(Certificate, proofs))


def shape_of(surrogate: Surrogate, build: BuildSpec) -> tuple[list[dict[str, Any]] | None, str | None]:
    """The statements that are tried, or why there are none."""
    if not isinstance(surrogate, Network):
        return None, NO_NETWORK
    if build.problem is None:
        return None, NO_SHAPE
    reduction = reduction_of(build)
    if reduction is not None and reduction.controlled:
        return None, NO_DIFFERENCE
    proofs = prove_shape(surrogate, canonical(build), tolerance=build.evaluation.tolerance, seed=build.seed)
    return proofs, None if proofs else NO_STATEMENT


def difference(folder: JobFolder, build: BuildSpec, pruned: Surrogate) -> dict[str, Any] | None:
    """Bounds on pruned minus trained; None where nothing was pruned that had been trained before."""
    if build.pruning is None or not folder.prunes() or not starts_trained(build.pruning):
        return None
    assert isinstance(pruned, Network)
    return bound_difference(read_trained(folder), pruned, interval_of(input_box(build)))
