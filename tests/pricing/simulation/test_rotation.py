"""Turns of the normals: lengths, laws and blocks are kept."""

from __future__ import annotations

import torch

from pricing.simulation.rotation import Rotation, identity
from tests.pricing.cases import normals


def turn(*sizes: int) -> Rotation:
    """A random turn of every block."""
    generator = torch.Generator().manual_seed(3)
    matrices = (torch.randn(size, size, dtype=torch.float64, generator=generator) for size in sizes)
    return Rotation(matrices=tuple(torch.linalg.qr(matrix).Q for matrix in matrices))


def test_lengths_and_angles_are_kept_block_by_block() -> None:
    rotation, z = turn(3, 2), normals(5, paths=64)
    turned = rotation(z)
    for block in (slice(0, 3), slice(3, 5)):
        torch.testing.assert_close(turned[..., block] @ turned[..., block].mT, z[..., block] @ z[..., block].mT)
    assert not torch.allclose(turned, z)


def test_blocks_do_not_mix() -> None:
    rotation, z = turn(3, 2), normals(5, paths=8)
    moved = z.clone()
    moved[..., 3:] += 1.0
    assert torch.equal(rotation(moved)[..., :3], rotation(z)[..., :3])
    assert not torch.equal(rotation(moved)[..., 3:], rotation(z)[..., 3:])


def test_the_transposed_matrices_turn_back() -> None:
    rotation, z = turn(4, 1, 2), normals(7, paths=16)
    back = Rotation(matrices=tuple(matrix.T for matrix in rotation.matrices))
    torch.testing.assert_close(back(rotation(z)), z, rtol=0.0, atol=1e-14)


def test_the_identity_turns_nothing() -> None:
    z = normals(5, paths=16)
    assert torch.equal(identity((3, 2))(z), z)
    assert torch.equal(identity((5,))(z), z)
