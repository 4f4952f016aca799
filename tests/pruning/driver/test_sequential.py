from __future__ import annotations

import pytest
import torch
from torch import nn

from pruning.driver.sequential import from_sequential, to_sequential
from surrogate.functions.network import flatten, initialise, outputs


def test_round_trip(generator: torch.Generator) -> None:
    network = initialise((3, 4, 2, 2), "softplus", generator=generator)
    x = torch.randn(6, 3, generator=generator, dtype=torch.float64)
    module = to_sequential(network)
    torch.testing.assert_close(module(x), outputs(network, x))
    assert torch.equal(flatten(from_sequential(module)), flatten(network))


def test_a_classifier_keeps_its_ends() -> None:
    module = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 5), nn.ReLU(), nn.Dropout(0.3), nn.Linear(5, 4, bias=False), nn.ReLU(),
        nn.Linear(4, 3), nn.LogSoftmax(dim=1),
    ).eval()  # fmt: skip
    network = from_sequential(module)
    assert network.widths == (6, 5, 4, 3)
    x = torch.rand(7, 2, 3)
    torch.testing.assert_close(torch.log_softmax(outputs(network, x.flatten(start_dim=1)), dim=1), module(x))
    state = torch.get_rng_state()
    again = to_sequential(network, like=module)
    assert torch.equal(torch.get_rng_state(), state)
    torch.testing.assert_close(again(x), module(x))
    assert again.state_dict().keys() == module.state_dict().keys()
    assert not again.training


def test_two_linear_layers_in_a_row_are_a_low_rank_layer() -> None:
    module = nn.Sequential(nn.Linear(5, 2), nn.Linear(2, 6), nn.Tanh(), nn.Linear(6, 1))
    network = from_sequential(module)
    assert network.linear == {1}
    x = torch.rand(4, 5)
    torch.testing.assert_close(outputs(network, x), module(x))
    assert [type(layer) for layer in to_sequential(network)] == [type(layer) for layer in module]


@pytest.mark.parametrize(
    "module",
    [
        nn.Sequential(nn.Linear(2, 2), nn.Tanh(), nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.Sequential(nn.ReLU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.ReLU(), nn.ReLU(), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.Softplus(beta=2), nn.Linear(2, 2)),
        nn.Sequential(nn.Linear(2, 2), nn.Softmax(dim=1), nn.Linear(2, 2)),
        nn.Sequential(),
    ],
)
def test_what_cannot_be_represented_is_refused(module: nn.Sequential) -> None:
    with pytest.raises(ValueError, match="one kind of activation"):
        from_sequential(module)


def test_a_refusal_names_the_layers() -> None:
    with pytest.raises(ValueError, match="BatchNorm1d"):
        from_sequential(nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2), nn.Linear(2, 1)))
