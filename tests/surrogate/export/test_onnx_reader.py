from __future__ import annotations

import onnx
import pytest
import torch

from pricing.domain import Box
from surrogate.errors import CorruptArtifact, SurrogateError
from surrogate.export.onnx_reader import read_network, read_surrogate
from surrogate.export.onnx_writer import to_onnx
from surrogate.functions.network import Network, flatten
from surrogate.functions.polynomial import PolynomialSurrogate


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_read_network_inverts_to_onnx(network: Network, box: Box, dtype: torch.dtype) -> None:
    again = read_network(to_onnx(network, box=box, metadata={}, dtype=dtype))
    assert torch.equal(flatten(again), flatten(network.to(dtype)))
    assert again.activation == network.activation


def test_foreign_bytes_are_refused() -> None:
    with pytest.raises(CorruptArtifact, match="not an ONNX file"):
        read_network(b"\x00 not protobuf")
    foreign = onnx.helper.make_model(onnx.helper.make_graph([], "other", [], []))
    with pytest.raises(CorruptArtifact, match="not written by Sobolite"):
        read_network(foreign.SerializeToString())


def test_a_polynomial_is_no_network(box: Box) -> None:
    numbers = {"matrix": torch.eye(3, 1), "offset": torch.zeros(1), "coefficients": torch.ones(5)}
    polynomial = PolynomialSurrogate(degree=4, **{name: part.double() for name, part in numbers.items()})
    model = to_onnx(polynomial, box=box, metadata={})
    assert isinstance(read_surrogate(model), PolynomialSurrogate)
    with pytest.raises(SurrogateError, match="holds a polynomial"):
        read_network(model)
