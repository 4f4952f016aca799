"""CHITA: which weights to keep and what to make of them, by sparse regression, for one or several numbers of weights.

The support comes from `pruning.quadratic.line_search`, the weights on it from `pruning.quadratic.regression`, a better
support where it pays from `pruning.quadratic.refine`.

Up to `SMALL` weights the rows are a matrix of float64. Beyond, they stay factors in float32; sums of Q and the solves
on a support are float64.

References: Benbaki et al., "Fast as CHITA: neural network pruning with combinatorial optimization" (ICML 2023).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from msgspec import UNSET
from torch import Tensor

from pruning.quadratic.breakpoints import exact_step
from pruning.quadratic.expansion import LEAST_DAMPING, Expansion, condensed, living
from pruning.quadratic.factored import Factored, factored
from pruning.quadratic.line_search import descend, step
from pruning.quadratic.problem import Quadratic, restricted
from pruning.quadratic.refine import ROUNDS, eliminate, exchange
from pruning.quadratic.regression import back_solve, relax, solve_block
from pruning.removal.masks import masks_of
from pruning.removal.weights import felt
from pruning.rows import Rows, class_rows, model_rows
from pruning.spec import PruningSpec
from pruning.stage import Budget, Cut, Evidence
from surrogate.dataset import Dataset
from surrogate.functions.network import Network
from surrogate.standardisation import to_normalised

# Largest number of weights of a network whose rows are held as a matrix: 1,024 rows of them take 40 MB.
SMALL = 5000
# Steps of the descent for a matrix and for factors; few for factors in one stage of several, where the next one has
# fresh samples and a new model, and from a start near the solution. More did not change how accurate classifiers stay.
STEPS, FACTORED_STEPS, BRIEF_STEPS = 100, 8, 2
# Conjugate gradients, likewise, where a direct solve costs more multiplications than `DIRECT` (5 ms).
RELAXATIONS, BRIEF_RELAXATIONS, DIRECT = 30, 10, 3e8
# Most weights for which "auto" refines: elimination then takes a second or so, and it is where few weights are to stay
# that thresholding errs most.
FEW = 1000
# Length of a column, as a share of the root mean square, below which no row sees the weight (that of a classifier that
# is sure of every sample, say). Scaled by so little it goes before those that are seen, the smallest first.
UNSEEN = 1e-12
# Powers of the column length that weights are scaled by. Features of an option differ in unit and reach, and 1 makes
# the choice independent of both; it is best for small classifiers as well (64-40-20-10 digits). The inputs of a large
# one (784 pixels) share a unit, so that 0 would do; 1/2 was the most reliable.
SCALED, CLASSES_SCALED = 1.0, 0.5
# The ridges that one stage tries, as multiples of the specification's: the best of fixed ones rises from 0.1 at 64 rows
# to 1 at 1,024 on a classifier of 3,560 weights, and finer steps find no better.
RIDGES = (1.0, 10.0, 100.0)


def prune_chita(network: Network, budget: Budget, evidence: Evidence) -> Cut:
    """Keep and adjust weights so that the quadratic model of the loss rises least.

    Where nothing is to be removed, a stage is a step of Gauss and Newton, halved until the loss of the samples falls.
    """
    expansion = pose(network, evidence)
    return expansion.restrained(choose(expansion, budget.count, evidence), evidence)


def chita_path(network: Network, counts: Sequence[int], evidence: Evidence) -> tuple[Cut, ...]:
    """CHITA for several numbers of weights from one set of rows, each started from the one above."""
    expansion = pose(network, evidence)
    w, cuts = expansion.problem.anchor, dict[int, Cut]()
    for count in sorted(set(counts), reverse=True):
        if count < len(w):
            w = choose(expansion, count, evidence, start=w)
        cuts[count] = expansion.restrained(w, evidence)
    return tuple(cuts[count] for count in counts)


def choose(expansion: Expansion, count: int, evidence: Evidence, *, start: Tensor | None = None) -> Tensor:
    """`solve` under the ridge of the specification or, in one stage, the one of `RIDGES` that the samples like best.

    How far the quadratic model can be trusted is not in it. With fewer rows than weights stay, the fit is the smallest
    step that meets all rows; with more, the ridge alone keeps it small, and the ridge that does grows with the number
    of rows. Large networks with more weights left than rows therefore do without the search, and paths of them.
    Shape: -> weight.
    """
    problem, spec = expansion.problem, evidence.spec
    worth = isinstance(problem.rows, Tensor) or (start is None and len(problem.residual) >= count)
    if not worth or spec.stages > 1 or spec.safeguard is False or count == len(problem.anchor):
        return solve(problem, count, spec, start=start)
    damped = (replace(problem, damping=by * problem.damping) for by in RIDGES)
    candidates = [solve(each, count, spec, start=start) for each in damped]
    return min(candidates, key=lambda w: expansion.loss(w, evidence))


def solve(problem: Quadratic, count: int, spec: PruningSpec, *, start: Tensor | None = None) -> Tensor:
    """At most ``count`` weights: descent, fit on the support, refinement. Shape: -> weight.

    Several stages, and a start near the solution, ask for less work.
    """
    brief = start is not None or spec.stages > 1
    steps = STEPS if isinstance(problem.rows, Tensor) else BRIEF_STEPS if brief else FACTORED_STEPS
    take = exact_step if spec.line_search == "exact" else step
    near, _ = descend(
        problem, problem.threshold(problem.anchor if start is None else start, count), count, steps, take=take
    )
    support = problem.support(near, count)
    plain = _fit(problem, restricted(near, support), support, spec.block, BRIEF_RELAXATIONS if brief else RELAXATIONS)
    match spec.refinement:
        case "none":
            return plain
        case "auto" if not _refines(problem, count, spec, brief=brief):
            return plain
        case "swap":
            return exchange(problem, support, plain)[0]
        case "auto" | "elimination":
            return min(eliminate(problem, problem.anchor, count, spec.rounds or ROUNDS), plain, key=problem.loss)


def _refines(problem: Quadratic, count: int, spec: PruningSpec, *, brief: bool) -> bool:
    """What "auto" means: few weights after a single stage; not from factors where little work is asked for."""
    quick = brief and not isinstance(problem.rows, Tensor)
    return count <= FEW and spec.stages == 1 and spec.block is None and not quick


def _fit(problem: Quadratic, near: Tensor, support: Tensor, block: int | None, relaxations: int) -> Tensor:
    """The weights on a support: exact, exact block by block, or relaxed where exactness would be dear."""
    if block is not None:
        for index in _blocks(support, block, problem.sizes):
            near = solve_block(problem, near, index)
        return near
    count, rows = int(support.sum()), len(problem.residual)
    if not isinstance(problem.rows, Tensor) and count * rows * min(count, rows) > DIRECT:
        return relax(problem, near, support, relaxations)
    return back_solve(problem, support)


def _blocks(support: Tensor, block: int, sizes: Sequence[int]) -> list[Tensor]:
    """Indices of the supported weights, in runs of ``block`` consecutive weights of a layer."""
    blocks, start = list[Tensor](), 0
    for size in sizes:
        runs = torch.split(torch.arange(start, start + size), block)
        blocks += [kept for run in runs if len(kept := run[support[run]])]
        start += size
    return blocks


def pose(network: Network, evidence: Evidence) -> Expansion:
    """The problem of a network in raw units.

    Class labels: inputs are centred but keep their unit. Several stages train the network while they prune it, so there
    the rows have the gradient of the loss as their target; at the optimum that a single stage starts from, it would be
    noise.
    """
    spec, data, classes = evidence.spec, evidence.dataset, evidence.dataset.has_classes
    standardisation = evidence.standardisation
    if classes:
        standardisation = replace(
            standardisation, x_scale=standardisation.x_scale.square().mean().sqrt().expand_as(standardisation.x_scale)
        )
        data = replace(data, x=data.x * (evidence.standardisation.x_scale / standardisation.x_scale))
    network = to_normalised(network, standardisation)
    rows = _rows(network, data, evidence)
    masks = masks_of(network)
    lengths = living(network, rows.squares()).clamp(min=0.0).sqrt()
    scale = _scale(lengths, CLASSES_SCALED if classes and _large(masks) else SCALED)
    sizes = [int(mask.sum()) for mask in masks]
    anchor = living(network, network.weights) * scale
    scaled, residual = _scaled(rows, masks, scale)
    problem = Quadratic(
        rows=scaled,
        residual=residual,
        anchor=anchor.to(residual.dtype),
        # lambda = c mean ||A_i||^2 / p, and the squares of the scaled columns add up to about p.
        damping=max(spec.ridge, LEAST_DAMPING),
        sizes=sizes,
        priority=_priority(anchor, living(network, felt(network, data)), sizes).to(residual.dtype),
    )
    return Expansion(problem=problem, network=network, standardisation=standardisation, scale=scale)


def _rows(network: Network, data: Dataset, evidence: Evidence) -> Rows:
    """The rows of the specification, with the loss gradient as target for class labels in several stages."""
    spec = evidence.spec
    if data.has_classes and spec.rows == "gauss_newton" and spec.stages > 1 and spec.gradient_term is UNSET:
        return class_rows(network, data, evidence.generator)
    return model_rows(network, data, spec, evidence.generator)


def _scaled(rows: Rows, masks: Sequence[Tensor], scale: Tensor) -> tuple[Tensor | Factored, Tensor]:
    """Rows and residuals in the coordinates of the scaled weights: a matrix, or factors where it would be large.

    Shape: masks out in, per layer; weight -> row weight; row.
    """
    kept = torch.cat([mask.flatten() for mask in masks])
    if not _large(masks):
        return condensed(rows.matrix(masks) / scale, rows.residual)
    return factored(rows, kept.nonzero()[:, 0], scale, torch.float32), rows.residual.float()


def _large(masks: Sequence[Tensor]) -> bool:
    """Whether the rows stay factors. Shape: out in, per layer ->."""
    return sum(mask.numel() for mask in masks) > SMALL


def _scale(lengths: Tensor, power: float) -> Tensor:
    """lengths^power in the unit of their root mean square; far below where rows see nothing. Shape: weight -> same."""
    mean = lengths.square().mean().sqrt()
    if mean == 0.0:
        return torch.ones_like(lengths)
    scale = lengths if power == SCALED else mean * (lengths / mean) ** power
    return scale.where(lengths > UNSEEN * mean, UNSEEN * mean)


def _priority(anchor: Tensor, live: Tensor, sizes: list[int]) -> Tensor:
    """The largest weight of every layer stays (+inf), weights without effect go first (-inf). Shape: -> weight."""
    priority = torch.zeros_like(anchor).masked_fill(~live, -torch.inf)
    score = anchor.abs() + priority
    start = 0
    for size in sizes:
        if size:
            priority[start + int(score[start : start + size].argmax())] = torch.inf
        start += size
    return priority
