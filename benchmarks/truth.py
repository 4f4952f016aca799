"""Closed forms against arithmetic of fifty digits: worst errors of value, gradient and gamma, family by family.

The options are those of `benchmarks/cases/truth.py`: what is random, and what the errors are shares of, stands there
and in `pricing/references/methods.py`. Two-asset families take seconds an option, so they get a tenth of them.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

# The folder of this script holds a pruning.py, which would hide the package of that name.
sys.path[0] = str(Path(__file__).parent.parent)

from benchmarks.cases.truth import Found, families, measure

OPTIONS, FEWER = 1000, 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--options", type=int, default=OPTIONS, help="of every family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--family", default="", help="part of the name of those to look at")
    parser.add_argument("--smoke", action="store_true", help="two options of every family of one asset")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = []
    for family in families():
        slow = family.differentiated is not None
        if arguments.family not in family.name or (arguments.smoke and slow):
            continue
        options = 2 if arguments.smoke else max(1, arguments.options // (FEWER if slow else 1))
        found.append(measure(family, options, seed=arguments.seed))
        if not arguments.json:
            print(line(found[-1]), flush=True)
    if arguments.json:
        print(json.dumps([asdict(one) for one in found], indent=2))


def line(one: Found) -> str:
    errors = ", ".join(f"{name} {error:.1e}" for name, error in vars(one).items() if isinstance(error, float))
    return f"{one.name:36} {one.options:5} options  {errors}"


if __name__ == "__main__":
    main()
