from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from msgspec.structs import replace

from app.pipeline.build import build
from app.pipeline.folder import JobFolder
from app.pipeline.tensors import read_final, read_rows, read_trained, read_training_data, write_network, write_rows
from app.specification.build import BuildSpec
from pricing.labels import load as load_labels
from pricing.specs.base import load
from pruning.spec import PruningSpec
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, initialise
from surrogate.report.sources import SimulatedLabels


def test_rows_come_back_and_equal_ones_have_equal_bytes(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    rows = Dataset(x=torch.rand((5, 2), generator=generator), y=torch.rand(5, generator=generator))
    first, second = JobFolder(tmp_path).held_out, JobFolder(tmp_path).labels
    for file in (first, second):
        write_rows(file, rows)
    again = read_rows(first)
    assert torch.equal(again.x, rows.x)
    assert torch.equal(again.y, rows.y)
    assert (again.gradient, again.weight) == (None, None)
    assert first.read() == second.read()


def test_a_network_comes_back_bit_for_bit(tiny_build: BuildSpec, tmp_path: Path) -> None:
    folder, network = JobFolder(tmp_path), initialise((2, 3, 1), "silu", generator=torch.Generator().manual_seed(0))
    write_network(folder.trained, network, tiny_build)
    again = read_trained(folder)
    for mine, theirs in zip((*network.weights, *network.biases), (*again.weights, *again.biases), strict=True):
        assert torch.equal(mine, theirs)


def test_what_is_final_is_what_was_pruned(tiny_build: BuildSpec, tmp_path: Path) -> None:
    folder = JobFolder(tmp_path)
    build(replace(tiny_build, pruning=PruningSpec(method="magnitude", sparsity=0.3)), tmp_path)
    final, trained = read_final(folder), read_trained(folder)
    assert isinstance(final, Network)
    assert final.parameters < trained.parameters
    folder.pruned.path.unlink()
    whole = read_final(folder)
    assert isinstance(whole, Network)
    assert whole.parameters == trained.parameters


def test_simulated_labels_are_what_is_learnt_from(tiny_build: BuildSpec, tmp_path: Path) -> None:
    build(tiny_build, tmp_path)
    folder = JobFolder(tmp_path)
    data, labels = read_training_data(folder, tiny_build), load_labels(folder.labels.path)
    assert torch.equal(data.x, labels.features)
    assert torch.equal(data.y, labels.value)


def test_samples_of_like_assets_are_learnt_from_in_every_arrangement(tiny: dict[str, Any], tmp_path: Path) -> None:
    tiny["problem"]["process"]["volatilities"] = [0.2, 0.2]
    alike = load(BuildSpec, tiny)
    made = build(alike, tmp_path)
    assert isinstance(made.report.labels, SimulatedLabels)
    assert made.report.labels.arrangements == 2
    data, labels = read_training_data(JobFolder(tmp_path), alike), load_labels(JobFolder(tmp_path).labels.path)
    assert torch.equal(data.x, torch.cat([labels.features, labels.features.flip(1)]))
    assert torch.equal(data.y, labels.value.repeat(2))
