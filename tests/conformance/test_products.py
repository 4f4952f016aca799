"""What every payoff, process and estimator owes the others, over the literal tuples of `tests.conformance.products`.

A new product needs a line there and nothing here. Checks are functions that raise AssertionError, so that
`test_false_products` can show that they do, on products whose facts are false.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from functools import cache

import pytest

from pricing.references.reference import kind
from pricing.specs.estimator import Automatic, Estimator, LikelihoodRatio
from pricing.specs.facts import PayoffFacts, ProcessFacts
from pricing.specs.parameters import PARAMETERS
from pricing.specs.payoff import Bermudan, Payoff
from pricing.specs.problem import PricingProblem, tag, unit
from pricing.specs.process import Process
from surrogate.greeks import greeks
from surrogate.reductions.choice import reduce
from tests.conformance import payoff_facts, process_facts, products
from tests.conformance.estimates import (
    SOLVED,
    Varying,
    check_agreement,
    check_choice,
    check_derivatives,
    check_match,
    check_refusals,
    check_sentence,
    highest,
    problem,
    quick,
    referenced,
    refusal,
)
from tests.conformance.products import ESTIMATORS, check_choices, check_members, on_several
from tests.conformance.scaling import check_greeks, check_reduction

PAYOFFS: tuple[Payoff, ...] = on_several(products.PAYOFFS)
PROCESSES: tuple[Process, ...] = on_several(products.PROCESSES)
INSTANCES: dict[str, tuple[object, tuple[object, ...]]] = {
    "PAYOFFS": (Payoff, PAYOFFS),
    "PROCESSES": (Process, PROCESSES),
    "ESTIMATORS": (Estimator, ESTIMATORS),
}
# 'auto' is one of the others.
CHOSEN = tuple(estimator for estimator in ESTIMATORS if not isinstance(estimator, Automatic))
# What may vary beside the spots where scaling is tried: some of it leaves no reduction.
SCALED: tuple[Varying, ...] = ("everything", "unscaled", "process", "payoff")


def numbered(instances: tuple[Payoff, ...] | tuple[Process, ...]) -> list[str]:
    """Names with the place in the tuple."""
    return [f"{tag(spec)}-{i}" for i, spec in enumerate(instances)]


PAIRS = {
    f"{of_payoff} {of_process}": (process, payoff)
    for process, of_process in zip(PROCESSES, numbered(PROCESSES), strict=True)
    for payoff, of_payoff in zip(PAYOFFS, numbered(PAYOFFS), strict=True)
    if process.assets == payoff.assets
}
every_payoff = pytest.mark.parametrize("payoff", PAYOFFS, ids=numbered(PAYOFFS))
every_process = pytest.mark.parametrize("process", PROCESSES, ids=numbered(PROCESSES))
every_pair = pytest.mark.parametrize(("process", "payoff"), PAIRS.values(), ids=PAIRS)


@cache
def taken(process: Process, payoff: Payoff) -> PricingProblem | None:
    """The problem with all its features, None where it is refused whatever the estimator."""
    if refusal(lambda: problem(process, payoff)) is not None:
        return None
    asked = problem(process, payoff)
    return None if highest(asked, Automatic()) is None else asked


def judged(asked: PricingProblem, estimator: Estimator) -> PricingProblem:
    """The problem whose labels are compared: in the spots alone where a reference or rule of more features is slow."""
    if kind(asked) in SOLVED or asked.payoff.facts.decided == "holder":
        return problem(asked.process, asked.payoff, varying="spots")
    return known_to(asked, estimator)


def known_to(asked: PricingProblem, estimator: Estimator) -> PricingProblem:
    """The problem without the features that the estimator does not take: a density knows none of the payoff's."""
    density = isinstance(estimator, LikelihoodRatio)
    return problem(asked.process, asked.payoff, varying="process") if density else asked


def unmeasured(estimate: Callable[[], None]) -> None:
    """Run it; an integrated normal may be refused where it is measured to carry nothing, which needs paths."""
    error = refusal(estimate)
    if error is not None and error.fields.get("path") != "labels.estimator.normal":
        raise error


# Instances


@pytest.mark.parametrize("name", INSTANCES)
def test_every_member_has_an_instance(name: str) -> None:
    check_members(name, *INSTANCES[name])


@pytest.mark.parametrize("name", ["PAYOFFS", "PROCESSES"])
def test_every_word_of_a_field_has_an_instance(name: str) -> None:
    check_choices(name, *INSTANCES[name])


@every_payoff
def test_every_payoff_is_taken_somewhere(payoff: Payoff) -> None:
    assert first_process(payoff) is not None, "no process of tests/conformance/products.py takes it"


@every_process
def test_every_process_takes_something(process: Process) -> None:
    assert first_payoff(process) is not None, "it takes no payoff of tests/conformance/products.py"


def first_process(payoff: Payoff) -> PricingProblem | None:
    return next(
        (asked for process, other in PAIRS.values() if other == payoff and (asked := taken(process, payoff))), None
    )


def first_payoff(process: Process) -> PricingProblem | None:
    return next(
        (asked for other, payoff in PAIRS.values() if other == process and (asked := taken(process, payoff))), None
    )


# Facts


@pytest.mark.parametrize("facts", [PayoffFacts, ProcessFacts])
def test_no_fact_has_a_default(facts: type[PayoffFacts | ProcessFacts]) -> None:
    for fact in dataclasses.fields(facts):
        assert fact.default is dataclasses.MISSING, f"{fact.name} has a default: nobody would be asked for it"
        assert fact.default_factory is dataclasses.MISSING


@pytest.mark.parametrize("check", payoff_facts.CHECKS)
@every_payoff
def test_facts_of_a_payoff_hold(payoff: Payoff, check: Callable[[Payoff], None]) -> None:
    check(payoff)


@pytest.mark.parametrize("check", process_facts.CHECKS)
@every_process
def test_facts_of_a_process_hold(process: Process, check: Callable[[Process], None]) -> None:
    check(process)


# Parameters


@pytest.mark.parametrize("name", PARAMETERS)
def test_a_parameter_is_what_the_table_says(name: str) -> None:
    parameter = PARAMETERS[name]
    assert parameter.least < parameter.most
    assert all((parameter.unit, parameter.field, parameter.coordinates, parameter.meaning)), f"{name} says too little"
    assert (parameter.greek is None) == (name == "spot"), "every derivative but delta has a name in the table"
    assert (parameter.sign == -1.0) == (name == "maturity"), "theta alone is the negative of its derivative"
    named = [other for other, row in PARAMETERS.items() if row.greek == parameter.greek]
    assert named == [name], f"{named} have one Greek"
    check_owners(name)


def check_owners(name: str) -> None:
    """What has the parameter is what ``has_it`` says, by its kinds."""
    said, owners = PARAMETERS[name].has_it, set[str]()
    for specs in (PROCESSES, PAYOFFS):
        having = {tag(spec) for spec in specs if name in spec.parameters}
        kinds, words = {tag(spec) for spec in specs}, set(re.findall(r"\w+", said))
        owners |= having
        if said.startswith("every process" if specs is PROCESSES else "every payoff"):
            assert kinds - having <= words, f"has_it of {name} says {said!r}, but {kinds - having} have it not"
        elif having:
            assert having == kinds & words, f"has_it of {name} says {said!r}, but {having} have it"
    derived = {"spot", "maturity", "correlation", "loading"}  # of the problem, not of a product
    assert bool(owners) != (name in derived), f"no instance has the parameter {name}: add one to products.py"


@every_pair
def test_parameters_of_a_problem_are_in_the_table(process: Process, payoff: Payoff) -> None:
    asked = taken(process, payoff)
    if asked is None:
        return
    for name, size in asked.sizes.items():
        assert name in PARAMETERS, f"{name} is not in pricing/specs/parameters.py"
        assert unit(asked, name)
        check_field(asked, name, size)
    assert [greek.feature for greek in greeks(asked.box)] == [
        feature.name for feature in asked.features if feature.name != "spot"
    ]


def check_field(asked: PricingProblem, name: str, size: int) -> None:
    """The field of a parameter holds its values, its later ones in ``pieces``."""
    parameter, payoff = PARAMETERS[name], asked.payoff
    holders = (asked, asked.process, payoff.option if isinstance(payoff, Bermudan) else payoff)
    holder = next((spec for spec in holders if hasattr(spec, parameter.field)), None)
    assert holder is not None, f"field {parameter.field} of {name} is on neither problem, process nor payoff"
    if parameter.pieces is not None:
        assert size == 1 + len(getattr(asked.process, parameter.pieces)), f"{name} has not one coordinate per piece"


# Payoff x process x estimator


def test_other_numbers_of_assets_are_refused_by_a_sentence() -> None:
    for process in PROCESSES:
        for payoff in PAYOFFS:
            if process.assets != payoff.assets:
                error = refusal(lambda process=process, payoff=payoff: problem(process, payoff))  # type: ignore[misc]
                assert error is not None, f"{tag(payoff)} on {payoff.assets} assets is taken on {process.assets}"
                check_sentence(error, process=process, payoff=payoff)


@every_pair
def test_a_pair_makes_a_problem_or_is_refused_by_a_sentence(process: Process, payoff: Payoff) -> None:
    check_match(process, payoff)
    if refusal(lambda: problem(process, payoff)) is None:
        asked = problem(process, payoff)
        check_choice(asked, ESTIMATORS)
        for estimator in ESTIMATORS:
            check_refusals(known_to(asked, estimator), estimator)


@every_pair
def test_an_estimator_labels_what_it_takes(process: Process, payoff: Payoff) -> None:
    asked = taken(process, payoff)
    if asked is None:
        return
    for estimator in CHOSEN:
        order = highest(known_to(asked, estimator), estimator)
        if order is not None:
            unmeasured(lambda e=estimator, n=order: check_derivatives(known_to(asked, e), e, n))  # type: ignore[misc]


@every_pair
def test_labels_are_what_the_reference_says(process: Process, payoff: Payoff) -> None:
    asked = taken(process, payoff)
    if asked is not None:
        check_agreement(judged(asked, Automatic()), quick(asked, Automatic()))


@every_payoff
def test_a_simulated_reference_of_a_payoff_agrees_too(payoff: Payoff) -> None:
    check_reference(first_process(payoff))


@every_process
def test_a_simulated_reference_of_a_process_agrees_too(process: Process) -> None:
    check_reference(first_payoff(process))


def check_reference(asked: PricingProblem | None) -> None:
    """What `labels` are not compared with above, because it takes a second: the simulation of `resimulated` itself."""
    assert asked is not None
    if "resimulated" in kind(asked):
        spots = problem(asked.process, asked.payoff, varying="spots")
        check_agreement(spots, quick(spots, Automatic()), referenced(spots))


@every_payoff
def test_all_estimators_of_a_payoff_agree(payoff: Payoff) -> None:
    check_estimators(first_process(payoff))


@every_process
def test_all_estimators_of_a_process_agree(process: Process) -> None:
    check_estimators(first_payoff(process))


def check_estimators(asked: PricingProblem | None) -> None:
    assert asked is not None
    for estimator in CHOSEN:
        if highest(judged(asked, estimator), estimator) is not None:
            unmeasured(lambda e=estimator: check_agreement(judged(asked, e), e))  # type: ignore[misc]


# Reduction


@every_pair
def test_reduced_is_direct(process: Process, payoff: Payoff) -> None:
    if taken(process, payoff) is None:
        return
    for varying in SCALED:
        asked = problem(process, payoff, varying=varying)
        if len(asked.features) > 1:
            check_reduction(asked)


@every_process
def test_every_greek_of_a_graph_is_a_difference_of_its_values(process: Process) -> None:
    """The network alone sees no payoff but by its parameters; the formula around it does."""
    seen = set[tuple[str, ...]]()
    for payoff in PAYOFFS:
        asked = taken(process, payoff) if payoff.assets == process.assets else None
        if asked is None:
            continue
        names = tuple(feature.name for feature in asked.features)
        if names not in seen:
            check_greeks(asked, reduction=None)
        scaled = problem(process, payoff, varying="unscaled" if reduce(asked) is None else "everything")
        if (reduction := reduce(scaled)) is not None and (*names, tag(payoff)) not in seen:
            check_greeks(scaled, reduction=reduction)
        seen |= {names, (*names, tag(payoff))}
