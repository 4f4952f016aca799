from __future__ import annotations

import pytest
import torch

from pricing.errors import InvalidSpec
from pruning.driver.sequential import to_sequential
from pruning.errors import ImpossibleSparsity, PruningError
from pruning.path import prune_path
from pruning.prune import prune
from pruning.spec import MethodName, PruningSpec
from surrogate.dataset import Dataset
from surrogate.functions.network import Network, outputs

SPARSITIES = (0.5, 0.0, 0.9, 0.3)


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(3)


@pytest.mark.parametrize("method", ["chita", "magnitude"])
def test_every_sparsity_is_met_exactly(method: MethodName, trained: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method=method, sparsity=0.1)
    path = prune_path(trained, dataset, spec, SPARSITIES, generator=seeded())
    for sparsity, pruned in zip(SPARSITIES, path, strict=True):
        alone = prune(trained, dataset, PruningSpec(method=method, sparsity=sparsity), generator=seeded())
        assert pruned.report["stages"][-1]["kept"] == alone.report["stages"][-1]["kept"]
        assert all(torch.equal(w != 0, mask) for w, mask in zip(pruned.network.weights, pruned.masks, strict=True))
        if method == "magnitude":
            assert all(torch.equal(a, b) for a, b in zip(pruned.network.weights, alone.network.weights, strict=True))
    for before, after in zip(trained.weights, path[1].network.weights, strict=True):
        torch.testing.assert_close(after, before)


def test_a_path_of_chita_is_as_good_as_its_parts(trained: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method="chita", sparsity=0.5)
    path = prune_path(trained, dataset, spec, (0.3, 0.5), generator=seeded())
    alone = prune(trained, dataset, spec, generator=seeded()).network

    def error(network: Network) -> float:
        return float((outputs(network, dataset.x)[:, 0] - dataset.y).square().mean())

    assert error(path[1].network) <= 2.0 * error(alone)
    assert error(path[0].network) < error(path[1].network)


def test_a_module_comes_back_as_a_module(trained: Network, dataset: Dataset) -> None:
    path = prune_path(
        to_sequential(trained), dataset, PruningSpec(method="chita", sparsity=0.5), (0.5,), generator=seeded()
    )
    assert isinstance(path[0].network, torch.nn.Sequential)


def test_what_a_path_cannot_do_is_refused(trained: Network, dataset: Dataset) -> None:
    with pytest.raises(PruningError, match="stages = 3"):
        prune_path(
            trained, dataset, PruningSpec(method="chita", sparsity=0.5, stages=3), SPARSITIES, generator=seeded()
        )
    with pytest.raises(ImpossibleSparsity):
        prune_path(trained, dataset, PruningSpec(method="chita", sparsity=0.5), (0.5, 0.9999), generator=seeded())


@pytest.mark.parametrize("method", ["chita", "magnitude"])
def test_a_path_goes_back_to_other_weights_where_the_specification_does(
    method: MethodName, trained: Network, dataset: Dataset
) -> None:
    cascade, drawn = (
        prune_path(
            trained,
            dataset,
            PruningSpec(method=method, sparsity=0.5, retraining=retraining),
            (0.5,),
            generator=seeded(),
        )[0]
        for retraining in ("cascade", "random")
    )
    assert all(torch.equal(a, b) for a, b in zip(cascade.masks, drawn.masks, strict=True))
    assert not any(torch.equal(a, b) for a, b in zip(cascade.network.weights, drawn.network.weights, strict=True))


def test_a_name_that_python_let_through_is_refused(trained: Network, dataset: Dataset) -> None:
    spec = PruningSpec(method="guess", sparsity=0.5)  # type: ignore[arg-type]
    with pytest.raises(InvalidSpec, match="'guess'; choose one of"):
        prune_path(trained, dataset, spec, SPARSITIES, generator=seeded())
