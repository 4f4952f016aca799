"""What `benchmarks/lost.py` found, in numbers: potentials, excess errors, what is preserved."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pricing.draws import stream
from pruning.studies.potential import Slope, excess_error, excess_slope, prune_potential
from pruning.studies.shifts import NOMINAL
from surrogate.report.scores import OUTPUTS

# Accepted losses as shares of the dense network's error on the same domain, as in a sweep.
DELTAS = (0.05, 0.5)
# Below it nothing is left of a function.
WORTHLESS = -1.0

Row = dict[str, Any]


def different(rows: Iterable[Row], name: str) -> list[Any]:
    """The values of a column, in their order."""
    return list(dict.fromkeys(row[name] for row in rows))


def only(rows: Iterable[Row], **wanted: Any) -> list[Row]:
    """The rows with these values."""
    return [row for row in rows if all(row[name] == value for name, value in wanted.items())]


def potentials(rows: list[Row], domain: str, greek: str, *, delta: float, bases: list[Row]) -> list[float]:
    """Prune potential by seed of the networks of a method, against the dense network of the seed among the bases."""
    found = []
    for base in only(bases, method="dense"):
        own = only(rows, seed=base["seed"])
        errors = [row["errors"][domain][greek] for row in own]
        dense = base["errors"][domain][greek]
        found.append(prune_potential([row["ratio"] for row in own], errors, dense=dense, delta=delta))
    return found


def excesses(rows: list[Row], domain: str, greek: str, *, bases: list[Row]) -> list[float]:
    """e(pruned) - e(dense) of every network, in units of its dense network's error on the Box."""
    found = []
    for row in rows:
        (base,) = only(bases, method="dense", seed=row["seed"])
        pair = [each["errors"][domain][greek] for each in (row, base)]
        nominal = [each["errors"][NOMINAL][greek] for each in (row, base)]
        excess = excess_error(pair, nominal)
        found.append(float(excess[0] - excess[1]) / nominal[1])
    return found


def slope(rows: list[Row], domain: str, greek: str, *, bases: list[Row]) -> Slope:
    """Of the excess errors on the prune ratio."""
    generator = stream(f"excess {domain} {greek}", seed=0)
    values = excesses(rows, domain, greek, bases=bases)
    return excess_slope([row["ratio"] for row in rows], values, generator=generator)


def spread(values: Sequence[float], form: str = "{:.2f}") -> str:
    """Mean and, in brackets, least and most."""
    mean, least, most = (form.format(number) for number in (np.mean(values), min(values), max(values)))
    return f"{mean} ({least} to {most})"


def table(title: str, head: Sequence[str], body: Iterable[Sequence[str]]) -> None:
    """In Markdown."""
    print(f"\n### {title}\n")
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for cells in body:
        print("| " + " | ".join(cells) + " |")


def print_tables(rows: list[Row]) -> None:
    """All of them, a basket at a time."""
    for basket in different(rows, "basket"):
        every = only(rows, basket=basket)
        usual = only(every, training="as usual")
        print_dense(basket, every)
        print_potentials(basket, usual)
        print_excesses(basket, usual)
        print_preserved(basket, usual)
        print_mixed(basket, every)


def print_dense(basket: str, rows: list[Row]) -> None:
    """What the dense networks miss, by training: a potential says nothing of that."""
    domains = list(rows[0]["errors"])
    body = []
    for training in different(rows, "training"):
        dense = only(rows, training=training, method="dense")
        for greek in OUTPUTS:
            errors = [[row["errors"][domain][greek] for row in dense] for domain in domains]
            body.append([training, greek, *(f"{np.mean(each):.1e}" for each in errors)])
    table(f"{basket}: RMSE of the dense networks, mean of the seeds", ["training", "Greek", *domains], body)


def print_potentials(basket: str, rows: list[Row]) -> None:
    """Methods and Greeks down, domains across."""
    domains, body = list(rows[0]["errors"]), []
    for method in methods(rows):
        for greek in OUTPUTS:
            cells = []
            for domain in domains:
                own = only(rows, method=method)
                found = [np.mean(potentials(own, domain, greek, delta=delta, bases=rows)) for delta in DELTAS]
                cells.append(" / ".join(f"{each:.2f}" for each in found))
            body.append([method, greek, *cells])
    shown = " / ".join(f"{100 * delta:g} %" for delta in DELTAS)
    table(f"{basket}: prune potential at {shown}", ["method", "Greek", *domains], body)


def print_excesses(basket: str, rows: list[Row]) -> None:
    """Slopes with their intervals; methods and Greeks down, shifts across."""
    shifts, body = list(rows[0]["errors"])[1:], []
    for method in methods(rows):
        for greek in OUTPUTS:
            slopes = [slope(only(rows, method=method), shift, greek, bases=rows) for shift in shifts]
            body.append([method, greek, *(f"{s.slope:.2g} [{s.low:.2g}, {s.high:.2g}]" for s in slopes)])
    title = f"{basket}: excess error per unit of prune ratio, dense error on the Box = 1"
    table(title, ["method", "Greek", *shifts], body)


def print_preserved(basket: str, rows: list[Row]) -> None:
    """Networks down; on the Box and on what is shown besides: R2, agreement, informative features."""
    shown = [row for row in rows if "alike" in row]
    places = list(shown[0]["alike"])
    body = []
    for method, target in dict.fromkeys((row["method"], row["target"]) for row in shown):
        group = [row["alike"] for row in only(shown, method=method, target=target)]
        cells = [likeness([alike[place] for alike in group]) for place in places]
        body.append([method, f"{target:.0%}" if target else "-", *cells])
    title = f"{basket}: like the dense network (R2 of delta, of gamma; delta agrees; features), mean of the seeds"
    table(title, ["method", "pruned", *places], body)


def likeness(group: Sequence[dict[str, Any]]) -> str:
    """Of the networks of all seeds at a place."""
    delta, gamma = (float(np.mean([alike["r2"][greek] for alike in group])) for greek in ("delta", "gamma"))
    agreement = float(np.mean([alike["agreement"]["delta"] for alike in group]))
    overlap = float(np.mean([alike["overlap"] for alike in group]))
    shown = [f"{r2:.4f}" if r2 > WORTHLESS else "none" for r2 in (delta, gamma)]
    return "; ".join([*shown, f"{agreement:.2f}", f"{overlap:.3f}"])


def print_mixed(basket: str, rows: list[Row]) -> None:
    """Potential by training, against its own dense network and against the one that was trained as usual."""
    domains, usual = list(rows[0]["errors"]), only(rows, training="as usual")
    method = next(row["method"] for row in rows if row["training"] != "as usual" and row["method"] != "dense")
    for title, own in (("its own dense network", True), ("the dense network trained as usual", False)):
        body = []
        for training in different(rows, "training"):
            pruned = only(rows, training=training, method=method)
            bases = only(rows, training=training) if own else usual
            for greek in OUTPUTS:
                found = [potentials(pruned, domain, greek, delta=DELTAS[0], bases=bases) for domain in domains]
                body.append([training, greek, *map(spread, found)])
        head = f"{basket}: prune potential of {method} at {100 * DELTAS[0]:g} %, against {title}"
        table(head, ["training", "Greek", *domains], body)


def methods(rows: list[Row]) -> list[str]:
    """Those that prune."""
    return [method for method in different(rows, "method") if method not in ("dense", "separate")]
