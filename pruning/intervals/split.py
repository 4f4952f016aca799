"""A box cut into sub-boxes, where it matters most: enclosures of small boxes are narrow, and all of them cover the box.

The excess of an interval enclosure over the true range is of second order in the width of the box. Halved is every
time the coordinate whose significance, width times largest derivative, is the largest in its sub-box.
"""

from __future__ import annotations

import torch

from pruning.intervals.adjoint import enclose
from pruning.intervals.affine_forms import EnclosureMethod
from pruning.intervals.interval import Interval
from surrogate.functions.network import Network


def split(network: Network, box: Interval, count: int, *, method: EnclosureMethod = "interval") -> Interval:
    """``count`` sub-boxes that cover the box; as long as not all can be halved, those of largest significance are.

    Shape: input -> box input.
    """
    lower, upper = box.lower[None], box.upper[None]
    while len(lower) < count:
        enclosure = enclose(network, Interval(lower, upper), method=method)
        influence = (upper - lower) * enclosure.adjoints[0].magnitude.sum(dim=-2)
        order = influence.sum(dim=-1).argsort(descending=True, stable=True)
        spare = count - len(order)
        halved, whole = order[:spare], order[spare:]
        cut = torch.nn.functional.one_hot(influence[halved].argmax(dim=-1), lower.shape[1]).bool()
        middle = Interval(lower[halved], upper[halved]).middle
        lower, upper = (
            torch.cat([lower[whole], lower[halved], middle.where(cut, lower[halved])]),
            torch.cat([upper[whole], middle.where(cut, upper[halved]), upper[halved]]),
        )
    return Interval(lower, upper)
