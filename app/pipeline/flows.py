"""A flow learnt from a table of states for its own sake: its graphs and what is known of them."""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from app.pipeline.derived import generator
from app.specification.requirements import flow_pruning
from pricing.draws import stream
from pricing.errors import InvalidSpec
from pricing.specs.base import dump
from pricing.specs.sampler import FlowSpec
from pricing.specs.states import LEAST_STATES, states_sha256
from pricing.types import Array, Progress
from pruning.sparse_flow import learn_states
from surrogate.artifact.flow_files import FlowFacts
from surrogate.export.flow_graph import flow_to_onnx
from surrogate.flows.flow import Flow, log_density


def learn_flow(
    spec: FlowSpec, columns: tuple[str, ...], table: Array, *, held_out: float, seed: int, progress: Progress
) -> tuple[dict[str, bytes], FlowFacts]:
    """Both graphs by file name, and what is known of them; some states judge and are not learnt from.

    Shape: table state column.

    Raises:
        InvalidSpec, SurrogateError: too few states, or states without a density.
        ImpossibleSparsity: the pruning's target leaves no field.
        ParityFailure: a graph does not reproduce the flow.
    """
    shuffled = torch.from_numpy(stream("held_out", seed=seed).permutation(table))
    cut = max(1, round(held_out * len(table)))
    judged, learnt = shuffled[:cut], shuffled[cut:]
    if len(learnt) < LEAST_STATES:
        raise InvalidSpec(f"states: {len(table)} rows leave {len(learnt)} to learn from; give more", path="states")
    seeded = generator("flow", seed=seed)
    flow = learn_states(learnt, spec, flow_pruning(spec), generator=seeded, progress=progress)
    graphs = flow_to_onnx(flow)
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in graphs.items()}
    kept = sum(int(torch.count_nonzero(weight)) for weight in flow.field.weights)
    nats, gaussian_nats = likelihoods(flow, judged, seeded)
    return graphs, FlowFacts(
        columns=columns,
        learnt_from=len(learnt),
        held_out=len(judged),
        seed=seed,
        spec=dump(spec),
        weights=(kept, sum(weight.numel() for weight in flow.field.weights)),
        nats=nats,
        gaussian_nats=gaussian_nats,
        hashes=hashes | {"states": states_sha256(tuple(map(tuple, np.asarray(table).tolist())))},
    )


def likelihoods(flow: Flow, states: Tensor, generator: torch.Generator) -> tuple[float, float]:
    """Mean negative log-likelihood by the flow and by the Gaussian that it bends, nats a state. Shape: batch d."""
    gaussian = MultivariateNormal(flow.mean, scale_tril=flow.factor)
    with torch.no_grad():
        return (
            -float(log_density(flow, states, generator=generator).mean()),
            -float(gaussian.log_prob(states).mean()),  # type: ignore[no-untyped-call]
        )
