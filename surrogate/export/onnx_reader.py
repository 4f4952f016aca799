"""From an ONNX file back to the network or polynomial that `surrogate.export.onnx_writer.to_onnx` wrote."""

from __future__ import annotations

import onnx
import torch
from onnx import numpy_helper

from surrogate.errors import CorruptArtifact, SurrogateError
from surrogate.export.network_graph import read_constants as network_of
from surrogate.export.polynomial_graph import DEGREE
from surrogate.export.polynomial_graph import read_constants as polynomial_of
from surrogate.functions.network import Network
from surrogate.functions.surrogate import Surrogate


def read_surrogate(model: bytes) -> Surrogate:
    """The network or polynomial of a file; exact in float64.

    Raises:
        CorruptArtifact: the bytes are not such a file.
    """
    try:
        proto = onnx.load_from_string(model)
    except Exception as error:  # protobuf raises its own DecodeError type, which moved between releases
        raise CorruptArtifact(f"these bytes are not an ONNX file: {error}") from error
    constants = {c.name: torch.from_numpy(numpy_helper.to_array(c).copy()) for c in proto.graph.initializer}
    properties = {p.key: p.value for p in proto.metadata_props}
    return (polynomial_of if DEGREE in properties else network_of)(constants, properties)


def read_network(model: bytes) -> Network:
    """The network of a file; exact in float64.

    Raises:
        CorruptArtifact: the bytes are not such a file.
        SurrogateError: it holds a polynomial.
    """
    surrogate = read_surrogate(model)
    if not isinstance(surrogate, Network):
        raise SurrogateError("this file holds a polynomial; a network is needed")
    return surrogate
