"""Between ``torch.nn.Sequential`` and `Network`: other people's MLPs, classifiers included."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence

import torch

from surrogate.functions.activations import ActivationName
from surrogate.functions.network import Network

MODULES: Mapping[ActivationName, type[torch.nn.Module]] = {
    "silu": torch.nn.SiLU,
    "softplus": torch.nn.Softplus,
    "tanh": torch.nn.Tanh,
    "relu": torch.nn.ReLU,
}
# Modules that change nothing when a trained network is evaluated.
TRANSPARENT = (torch.nn.Dropout, torch.nn.Identity)
# Modules that may end a classifier: cross-entropy does not see them, so they are set aside and put back.
HEADS = (torch.nn.Softmax, torch.nn.LogSoftmax)


def from_sequential(module: torch.nn.Sequential) -> Network:
    """The Network of Linear layers with one kind of activation between them.

    Accepted besides: Flatten in front, Dropout and Identity anywhere, Softmax or LogSoftmax at the end (ignored), two
    Linear layers without an activation between them, layers without bias.

    Raises:
        ValueError: for any other module, naming its layers.
    """
    _, body, _ = _split(module)
    linears: list[torch.nn.Linear] = []
    kinds: dict[int, ActivationName] = {}
    for layer in body:
        name = _activation(layer)
        if isinstance(layer, torch.nn.Linear):
            linears.append(layer)
        elif name is not None and linears and len(linears) not in kinds:
            kinds[len(linears)] = name
        else:
            raise ValueError(_refusal(module))
    hidden = set(range(1, len(linears)))
    if not linears or len(set(kinds.values())) > 1 or not set(kinds) <= hidden or (hidden and not kinds):
        raise ValueError(_refusal(module))
    return Network(
        weights=tuple(layer.weight.detach().clone() for layer in linears),
        biases=tuple(
            layer.weight.new_zeros(layer.out_features).detach() if layer.bias is None else layer.bias.detach().clone()
            for layer in linears
        ),
        activation=next(iter(kinds.values()), "relu"),
        linear=frozenset(hidden - set(kinds)),
    )


def to_sequential(network: Network, like: torch.nn.Sequential | None = None) -> torch.nn.Sequential:
    """The same function as a ``torch.nn.Sequential``.

    Args:
        like: the module that the network came from: of the same shape it is copied and filled, otherwise its ends
            (Flatten, Softmax) are kept. A layer without bias gets one only if it needs one.
    """
    if like is not None:
        linears = [layer for layer in like if isinstance(layer, torch.nn.Linear)]
        if [layer.weight.shape for layer in linears] == [weight.shape for weight in network.weights]:
            biased = [
                (layer.bias is not None) or bool(b.any()) for layer, b in zip(linears, network.biases, strict=True)
            ]
            ours = iter(_linears(network, biased))
            filled = [next(ours) if isinstance(layer, torch.nn.Linear) else copy.deepcopy(layer) for layer in like]
            return torch.nn.Sequential(*filled).train(like.training)
    head, _, tail = ([], [], []) if like is None else _split(like)
    modules: list[torch.nn.Module] = []
    for layer, linear in enumerate(_linears(network, [True] * len(network.weights)), start=1):
        modules.append(linear)
        if layer < len(network.weights) and layer not in network.linear:
            modules.append(MODULES[network.activation]())
    whole = torch.nn.Sequential(*copy.deepcopy(head), *modules, *copy.deepcopy(tail))
    return whole if like is None else whole.train(like.training)


def _linears(network: Network, biases: Sequence[bool]) -> Iterator[torch.nn.Linear]:
    """The layers; their random initialisation leaves the global random state alone."""
    for weight, offset, biased in zip(network.weights, network.biases, biases, strict=True):
        out, inputs = weight.shape
        with torch.random.fork_rng(devices=[]):
            linear = torch.nn.Linear(inputs, out, bias=biased, dtype=weight.dtype)
        with torch.no_grad():
            linear.weight.copy_(weight)
            if biased:
                linear.bias.copy_(offset)
        yield linear


def _split(module: torch.nn.Sequential) -> tuple[list[torch.nn.Module], list[torch.nn.Module], list[torch.nn.Module]]:
    """Flatten in front, what computes, Softmax at the end."""
    layers = [layer for layer in module if not isinstance(layer, TRANSPARENT)]
    head = layers[:1] if layers and isinstance(layers[0], torch.nn.Flatten) else []
    tail = layers[-1:] if layers and isinstance(layers[-1], HEADS) else []
    return head, layers[len(head) : len(layers) - len(tail)], tail


def _activation(layer: torch.nn.Module) -> ActivationName | None:
    """The name of an activation module, None for anything else."""
    if isinstance(layer, torch.nn.Softplus) and (layer.beta, layer.threshold) != (1, 20):
        return None
    return next((name for name, kind in MODULES.items() if type(layer) is kind), None)


def _refusal(module: torch.nn.Sequential) -> str:
    return (
        "need a Sequential of Linear layers with one kind of activation out of SiLU, Softplus, Tanh, ReLU between "
        f"them, got {[type(layer).__name__ for layer in module]}"
    )
