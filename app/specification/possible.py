"""What a build asks for and the number of its inputs decides: known before anything is simulated. Torch-free.

How many inputs exact scaling leaves is known when torch is. A submission is refused for what is wrong with every number
that they may be, and the first step, which knows it, for the rest.
"""

from __future__ import annotations

from app.specification.build import BuildSpec
from app.specification.requirements import require_target, within
from pricing.errors import InvalidSpec
from pruning.counting.targets import Shape, dense
from pruning.counting.traits import TRAITS
from pruning.spec import PruningSpec
from surrogate.spec import MAXIMUM_SECOND_ORDER, LevenbergMarquardt


def require_possible(build: BuildSpec, given: Shape | None = None) -> None:
    """Raise InvalidSpec where what is asked for is impossible, whatever exact scaling leaves of the features.

    Args:
        given: what a prune job takes up; by default the network that the build learns is pruned.
    """
    fault: InvalidSpec | None = None
    for inputs in reversed(possible_inputs(build)):
        try:
            return require_inputs(build, inputs, given)
        except InvalidSpec as error:
            fault = fault or error
    assert fault is not None
    raise fault


def possible_inputs(build: BuildSpec) -> range:
    """How many inputs exact scaling may leave: the spots always vary."""
    most = build.box.dimension
    return range(most if build.problem is None else build.problem.process.assets, most + 1)


def require_inputs(build: BuildSpec, inputs: int, given: Shape | None = None) -> None:
    """Raise InvalidSpec where what is asked for is impossible with that many inputs, as `require_possible`."""
    if build.polynomial is not None:
        with within("polynomial"):
            build.polynomial.require_size(inputs)
        return
    with within("network"):
        build.network.require_size(inputs)
    if build.dataset is None or build.labels.teacher is not None:
        with within("labels"):
            build.labels.require_directions(inputs)
    if build.pruning is not None:
        with within("pruning"):
            require_pruning(build.pruning, given or dense(build.network.widths(inputs)))


def require_pruning(pruning: PruningSpec, shape: Shape) -> None:
    """Raise InvalidSpec for a target that leaves no network, or a first stage that leaves too large a one to tune."""
    unit, numbers = require_target(pruning, shape)
    tuning = () if pruning.fine_tuning is None else pruning.fine_tuning.optimisers
    second_order = any(isinstance(optimiser, LevenbergMarquardt) for optimiser in tuning)
    if not second_order or unit != "weights" or not TRAITS[pruning.method].exact or pruning.promise is not None:
        return  # how many parameters are left is found out by the cut
    left = min(numbers[0] + shape.biases, shape.present)
    if left > MAXIMUM_SECOND_ORDER:
        raise InvalidSpec(
            f"fine_tuning.optimisers: levenberg_marquardt takes up to {MAXIMUM_SECOND_ORDER} parameters and the first "
            f"stage leaves {left}; prune more in it, or use lbfgs or adam",
            path="fine_tuning.optimisers",
            bound=MAXIMUM_SECOND_ORDER,
        )
