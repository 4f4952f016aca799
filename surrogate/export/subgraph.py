"""The part of an ONNX file that some of its outputs need, by its bytes alone: neither onnx nor torch.

onnxruntime runs every node of a graph, whatever outputs are asked for, and the Hessian takes most of them. A file is a
protobuf message, a sequence of fields; the part has the same fields but for nodes and outputs that are not needed.
onnxruntime itself drops the constants that no node reads.

References: protobuf.dev/programming-guides/encoding; onnx.proto for the field numbers, which never change.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from surrogate.errors import CorruptArtifact

# Fields of ModelProto (graph), GraphProto (node, output), NodeProto (input, output) and ValueInfoProto (name).
GRAPH, NODE, OUTPUT = 7, 1, 12
INPUTS, OUTPUTS, NAME = 1, 2, 1
# Wire types: a number; a length and as many bytes. Those messages have no fields of other types.
NUMBER, BYTES = 0, 2

# Its number, its content (nothing for a number), and all of it.
Field = tuple[int, bytes, bytes]


def part_for(model: bytes, outputs: Collection[str]) -> bytes:
    """The file with these of its outputs alone: the same operations on the same numbers, and no others.

    Args:
        model: as `surrogate.export.onnx_writer.to_onnx` writes it, where no node holds a graph of its own.

    Raises:
        CorruptArtifact: the bytes are no ONNX file, or lack one of the outputs.
    """
    pieces = list[bytes]()
    try:
        for number, content, whole in _fields(model):
            if number == GRAPH:
                graph = _needed(list(_fields(content)), set(outputs))
                whole = _encoded(GRAPH << 3 | BYTES) + _encoded(len(graph)) + graph
            pieces.append(whole)
    except (IndexError, ValueError) as error:
        raise CorruptArtifact(f"these bytes are not an ONNX file: {error}") from error
    return b"".join(pieces)


def _needed(graph: list[Field], outputs: set[str]) -> bytes:
    """The fields of a graph without the nodes and outputs that are not needed; a node stands after what it reads."""
    names, made, kept = set(outputs), set[str](), list[bytes]()
    for number, content, whole in reversed(graph):
        if number == NODE:
            produced = _names(content, OUTPUTS)
            if names.isdisjoint(produced):
                continue
            made |= produced
            names |= _names(content, INPUTS)
        elif number == OUTPUT and outputs.isdisjoint(_names(content, NAME)):
            continue
        kept.append(whole)
    if not outputs <= made:
        raise ValueError(f"no node makes {', '.join(sorted(outputs - made))}")
    return b"".join(reversed(kept))


def _names(message: bytes, number: int) -> set[str]:
    return {content.decode() for field, content, _ in _fields(message) if field == number}


def _fields(message: bytes) -> Iterator[Field]:
    """The fields of a message, in order."""
    start = 0
    while start < len(message):
        key, begin = _decoded(message, start)
        number, end = _decoded(message, begin)
        if key & 7 == BYTES:
            begin, end = end, end + number
        elif key & 7 == NUMBER:
            begin = end
        else:
            raise ValueError(f"a field of wire type {key & 7}")
        if end > len(message):
            raise ValueError("a field ends after its message")
        yield key >> 3, message[begin:end], message[start:end]
        start = end


def _decoded(message: bytes, start: int) -> tuple[int, int]:
    """A number in groups of seven bits, the lowest first, and where it ends: at the first byte below 128."""
    number, end = 0, start
    while True:
        byte = message[end]
        number |= (byte & 127) << 7 * (end - start)
        end += 1
        if byte < 128:
            return number, end


def _encoded(number: int) -> bytes:
    """What `_decoded` reads."""
    head = bytearray()
    while number >= 128:
        head.append(number & 127 | 128)
        number >>= 7
    return bytes([*head, number])
