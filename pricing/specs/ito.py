"""The process whose coefficients a user writes: dS = a(S, t) dt + b(S, t) dW."""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

from msgspec import UNSET, field

from pricing.errors import InvalidSpec
from pricing.specs.base import MAXIMUM_ASSETS, require_number
from pricing.specs.diffusion import Diffusion, Steps, diffusion_parameters, grid, require_diffusion, require_steps
from pricing.specs.expression import FUNCTIONS, IDENTIFIER, VARIABLES, Expression, parse
from pricing.specs.facts import ProcessFacts
from pricing.specs.parameters import Parameters

# Constants, and different operations of all coefficients together: every step of every path computes them.
MAXIMUM_CONSTANTS, MAXIMUM_TOTAL = 32, 2048
# Tensors of a double backward pass at its peak, and for each operation of an asset's coefficients; measured.
TENSORS, OPERATION_TENSORS = 128, 24
# Time steps of a path that a problem takes by itself, at least.
WRITTEN_STEPS = 64
parsed = lru_cache(maxsize=1024)(parse)


class ItoDiffusion(Diffusion, frozen=True, kw_only=True, tag_field="kind", tag="ito_diffusion"):
    """Coefficients of a user's own: dS_i = a_i(S_i, t) dt + b_i(S_i, t) dW_i, discounted at the rate (Ito 1951).

    An expression has numbers, S (the asset's own level), t (years from today), r (the rate at t), the ``constants``,
    the operators ``+ - * / ^`` (or ``**``), brackets and exp, log, sqrt, tanh, abs, max and min. It must be continuous
    in S; abs, max and min of S leave labels without curvatures (``order`` 1). Levels may become negative: an expression
    says what holds there, as sqrt(max(S, 0)) does.

    Args:
        drifts: a_i, currency per year, one expression per asset; "r * S" is the carry of a traded asset.
        diffusions: b_i, currency per sqrt(year), one expression per asset.
        constants: numbers by the names that the expressions call them.
        scheme: of a time step in S: "euler", of strong order a half, or "milstein", of order one; both of weak order
            one.
        steps: time steps of a path; by default 64, and more where coefficients move levels fast or for long
            (`pricing.specs.time_steps`).
    """

    drifts: tuple[str, ...]
    diffusions: tuple[str, ...]
    constants: dict[str, float] = field(default_factory=dict)
    scheme: Literal["euler", "milstein"] = "milstein"
    steps: Steps = UNSET

    def __post_init__(self) -> None:
        if not 1 <= self.assets <= MAXIMUM_ASSETS or len(self.drifts) != self.assets:
            raise InvalidSpec(
                f"drifts and diffusions: give one of each per asset, 1 to {MAXIMUM_ASSETS}, got {len(self.drifts)} "
                f"drifts and {len(self.diffusions)} diffusions",
                path="diffusions",
                bound=[1, MAXIMUM_ASSETS],
            )
        require_constants(self)
        require_names(self)
        require_steps(self.steps)
        if any(self.dividend_yields):
            raise InvalidSpec(
                "dividend_yields: the drifts say how levels grow; write (r - q) * S with a constant q instead",
                path="dividend_yields",
            )
        require_diffusion(self, self.assets)

    def __hash__(self) -> int:
        """By all fields; a table of constants has no hash of its own."""
        fields = (getattr(self, name) for name in self.__struct_fields__)
        return hash(tuple(tuple(field.items()) if isinstance(field, dict) else field for field in fields))

    @property
    def assets(self) -> int:
        """Number of assets."""
        return len(self.diffusions)

    @property
    def coefficients(self) -> tuple[tuple[Expression, Expression], ...]:
        """Drift and diffusion of every asset."""
        names = [(f"drifts[{i}]", f"diffusions[{i}]") for i in range(self.assets)]
        texts = zip(self.drifts, self.diffusions, strict=True)
        return tuple(
            (parsed(a, name=name_a), parsed(b, name=name_b))
            for (a, b), (name_a, name_b) in zip(texts, names, strict=True)
        )

    @property
    def parameters(self) -> Parameters:
        """What may vary besides the spots; the constants in the order of their names."""
        carry = diffusion_parameters(self, self.assets)
        del carry["dividend_yield"]
        values = tuple(self.constants[name] for name in sorted(self.constants))
        return {**({"constant": values} if values else {}), **carry}

    @property
    def operations(self) -> int:
        """Of a step of the asset that takes most: drift, diffusion, and the diffusion's derivative."""
        return max(len(a.operations) + 2 * len(b.operations) for a, b in self.coefficients)

    @property
    def facts(self) -> ProcessFacts:
        """What others ask of it; noise is that of its level unless b is free of S and a linear in it."""
        written = self.coefficients
        return ProcessFacts(
            law="additive",
            unaffine="steps that are Gaussian in any length, which coefficients of S have not; use another process",
            opened="last step",
            unopened=None,
            random_variance=False,
            independent_increments=False,
            density=False,
            lognormal=False,
            grid=grid(self.steps, WRITTEN_STEPS),
            shared_noise=False,
            level_noise=any(a.degree > 1.0 or b.degree > 0.0 for a, b in written),
            bridge=None,
            tensors=TENSORS + OPERATION_TENSORS * self.operations,
            randomness=("volatility_scale",),
            dividends=(),
            convex=False,
            unscaled="coefficients that a user writes need not scale",
            constant={},
            by_law=(),
            carried=False,
            kinked=any(a.kinked or b.kinked for a, b in written),
        )


def require_constants(process: ItoDiffusion) -> None:
    """Raise InvalidSpec unless constants are finite numbers with names of their own."""
    if len(process.constants) > MAXIMUM_CONSTANTS:
        raise InvalidSpec(
            f"constants: give at most {MAXIMUM_CONSTANTS}, got {len(process.constants)}; write those that never vary "
            "as numbers",
            path="constants",
            bound=MAXIMUM_CONSTANTS,
        )
    for name, value in process.constants.items():
        if not IDENTIFIER.fullmatch(name) or len(name) > MAXIMUM_CONSTANTS:
            raise InvalidSpec(
                f"constants: {name[:MAXIMUM_CONSTANTS]!r} must be a name of letters, digits and _ that begins with no "
                f"digit and has at most {MAXIMUM_CONSTANTS} of them",
                path="constants",
            )
        if name in (*VARIABLES, *FUNCTIONS):
            raise InvalidSpec(
                f"constants: {name!r} means something already, as do {', '.join((*VARIABLES, *FUNCTIONS))}; choose "
                "another name",
                path="constants",
            )
        require_number(f"constants.{name}", value)


def require_names(process: ItoDiffusion) -> None:
    """Raise InvalidSpec unless expressions name what there is, and every constant is in one of them."""
    known, used, total = {*VARIABLES, *process.constants}, set[str](), dict[str, int]()
    for i, pair in enumerate(process.coefficients):
        for side, expression in zip(("drifts", "diffusions"), pair, strict=True):
            unknown = sorted(expression.names - known)
            if unknown:
                raise InvalidSpec(
                    f"{side}[{i}]: {unknown[0][:MAXIMUM_CONSTANTS]!r} is no variable, function or constant; the names "
                    f"are {', '.join((*VARIABLES, *sorted(process.constants), *FUNCTIONS))}; give it in constants",
                    path=f"{side}[{i}]",
                )
            used |= expression.names
            total[expression.text] = len(expression.operations)
    if unused := sorted(set(process.constants) - used):
        raise InvalidSpec(
            f"constants: {unused[0]!r} is in no expression, so nothing depends on it; leave it out",
            path="constants",
        )
    if sum(total.values()) > MAXIMUM_TOTAL:
        raise InvalidSpec(
            f"drifts and diffusions: different expressions may have {MAXIMUM_TOTAL} operations together, got "
            f"{sum(total.values())}; let assets share an expression, or simplify them",
            path="diffusions",
            bound=MAXIMUM_TOTAL,
        )
