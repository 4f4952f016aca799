from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch

from pricing.errors import InvalidSpec
from surrogate.artifact.flow_files import FACTS, FlowFacts, draw_states, log_density, read_flow, write_flow
from surrogate.errors import CorruptArtifact
from surrogate.export.flow_graph import flow_to_onnx
from surrogate.flows.flow import start_flow


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    states = torch.rand(40, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    graphs = flow_to_onnx(start_flow(states, (3,), "tanh", steps=2, generator=torch.Generator().manual_seed(2)))
    facts = FlowFacts(
        columns=("a", "b"),
        learnt_from=40,
        held_out=0,
        seed=0,
        spec={},
        weights=(15, 15),
        nats=0.0,
        gaussian_nats=0.0,
        hashes={name: hashlib.sha256(content).hexdigest() for name, content in graphs.items()},
    )
    write_flow(tmp_path / "flow", graphs, facts)
    assert read_flow(tmp_path / "flow") == facts
    return tmp_path / "flow"


def test_states_are_drawn_and_judged(folder: Path) -> None:
    drawn = draw_states(folder, 2000, seed=1)
    assert drawn.shape == (2000, 2)
    assert np.abs(drawn.mean(axis=0) - 0.5).max() < 0.1
    near, far = log_density(folder, np.array([[0.5, 0.5], [3.0, 3.0]]))
    assert near > far
    with pytest.raises(InvalidSpec, match=r"states\[1\] is so far"):
        log_density(folder, np.array([[0.5, 0.5], [1e200, 0.0]]))


@pytest.mark.parametrize("text", ["{", "{}", '{"columns": 3}'])
def test_facts_that_are_none_are_refused(folder: Path, text: str) -> None:
    (folder / FACTS).write_text(text)
    with pytest.raises(CorruptArtifact, match="holds no flow"):
        read_flow(folder)
