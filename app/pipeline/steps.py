"""The paper as a pipeline: label -> train -> prune and fine-tune -> certify -> evaluate -> export -> publish.

A build that is told nothing of labels and network does the first two in rounds that grow.

A step is a function of a job's folder: it reads the files of earlier steps and leaves its own, all or nothing, so that
running it again after a crash does no harm. The same order in a folder gives the same bytes: every random number comes
from the specification's seed, and nothing depends on the clock.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.pipeline.certify import certify
from app.pipeline.evaluate import Noted, evaluate, unnoted
from app.pipeline.export import export
from app.pipeline.folder import JobFolder
from app.pipeline.grow import grow
from app.pipeline.label import label, load
from app.pipeline.prune import prune
from app.pipeline.publish import publish
from app.pipeline.train import train
from pricing.types import Progress
from surrogate.artifact.manifest import Version
from surrogate.learning.watching import Heard, unheard

STEPS: Mapping[str, Callable[[JobFolder, Progress], Version | None]] = {
    "load": load,
    "label": label,
    "grow": grow,
    "train": train,
    "prune": prune,
    "certify": certify,
    "evaluate": evaluate,
    "export": export,
    "publish": publish,
}


# Those that may tell how a training goes.
TELLING: Mapping[str, Callable[[JobFolder, Progress, Heard], None]] = {"grow": grow, "train": train, "prune": prune}


def run_step(
    step: str, folder: JobFolder, progress: Progress, heard: Heard = unheard, noted: Noted = unnoted
) -> Version | None:
    """Run one step in a folder that holds an order and the files of the earlier steps; only the last has a result.

    Args:
        heard: is told the losses of a training.
        noted: is told what an evaluation takes.
    """
    if step == "evaluate":
        evaluate(folder, progress, noted)
        return None
    if step not in TELLING:
        return STEPS[step](folder, progress)
    TELLING[step](folder, progress, heard)
    return None
