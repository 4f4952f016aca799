from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from surrogate.errors import SurrogateError
from surrogate.flows.flow import Flow, log_density, rk4, sample, start_flow, trajectories, transport
from surrogate.functions.network import Network, initialise, outputs


def random_flow(d: int, hidden: tuple[int, ...], generator: torch.Generator, *, steps: int = 32) -> Flow:
    """A flow far from the identity in skewed coordinates."""
    factor = torch.eye(d, dtype=torch.float64) + 0.3 * torch.ones(d, d, dtype=torch.float64).tril(-1)
    return Flow(
        field=initialise((d + 1, *hidden, d), "tanh", generator=generator),
        mean=torch.arange(d, dtype=torch.float64),
        factor=0.5 * factor,
        steps=steps,
    )


def linear_flow(matrix: Tensor, *, steps: int) -> Flow:
    """dz/dt = B z: the weight of the time is 0."""
    d = len(matrix)
    zero = matrix.new_zeros(d)
    weight = torch.cat([matrix, zero[:, None]], dim=1)
    field = Network(weights=(weight,), biases=(zero,), activation="tanh")
    return Flow(field=field, mean=zero, factor=torch.eye(d, dtype=matrix.dtype), steps=steps)


@pytest.fixture
def matrix() -> Tensor:
    return torch.tensor([[0.3, -0.9], [0.5, -0.2]], dtype=torch.float64)


def test_the_solver_is_of_order_four(matrix: Tensor) -> None:
    start = torch.tensor([[1.0, -2.0], [0.5, 0.3]], dtype=torch.float64)
    exact = start @ torch.linalg.matrix_exp(matrix).T

    def error(steps: int) -> float:
        return float((transport(linear_flow(matrix, steps=steps), start) - exact).abs().max())

    assert error(4) / error(8) == pytest.approx(16.0, rel=0.15)
    assert error(64) < 1e-9


def test_the_solver_follows_the_time() -> None:
    start = torch.zeros(1, dtype=torch.float64)
    cubic = rk4(lambda t, _: torch.full((1,), 4.0 * t**3, dtype=torch.float64), start, begin=0.0, end=2.0, steps=3)
    torch.testing.assert_close(cubic, torch.full((1,), 16.0, dtype=torch.float64))


def test_a_linear_field_makes_a_gaussian(matrix: Tensor, generator: torch.Generator) -> None:
    flow = linear_flow(matrix, steps=64)
    states = torch.randn(50, 2, generator=generator, dtype=torch.float64)
    push = torch.linalg.matrix_exp(matrix)
    law = MultivariateNormal(torch.zeros(2, dtype=torch.float64), covariance_matrix=push @ push.T)
    exact = law.log_prob(states)  # type: ignore[no-untyped-call]
    torch.testing.assert_close(log_density(flow, states, generator=generator), exact, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("hidden", [(7,), (6, 5), (5, 4, 6)])
def test_the_density_is_the_jacobians_of_the_transport(hidden: tuple[int, ...], generator: torch.Generator) -> None:
    """log p(x(z)) = log N(z) - log |det dx/dz|, the Jacobian by automatic differentiation of the whole solution."""
    flow = random_flow(2, hidden, generator, steps=64)
    normals = torch.randn(6, 2, generator=generator, dtype=torch.float64)

    def push(z: Tensor) -> Tensor:
        x = rk4(
            lambda t, y: outputs(flow.field, torch.cat([y, y.new_full((1, 1), t)], dim=1)),
            z[None],
            begin=0.0,
            end=1.0,
            steps=flow.steps,
        )
        return (flow.mean + x @ flow.factor.T)[0]

    expected = []
    for z in normals:
        jacobian = torch.func.jacrev(push)(z)
        base = -0.5 * z.square().sum() - math.log(2.0 * math.pi)
        expected.append(base - torch.linalg.slogdet(jacobian).logabsdet)
    found = log_density(flow, transport(flow, normals), generator=generator)
    torch.testing.assert_close(found, torch.stack(expected), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("d", [1, 2])
def test_the_density_integrates_to_one(d: int, generator: torch.Generator) -> None:
    flow = random_flow(d, (8, 8), generator)
    far = float(sample(flow, 2000, generator=generator).sub(flow.mean).abs().max()) * 1.5
    axis = torch.linspace(-far, far, 201, dtype=torch.float64)
    grid = torch.cartesian_prod(*[axis] * d).reshape(-1, d) + flow.mean
    mass = log_density(flow, grid, generator=generator).exp().sum() * float(axis[1] - axis[0]) ** d
    assert mass.item() == pytest.approx(1.0, abs=2e-3)


def test_samples_have_the_density(generator: torch.Generator) -> None:
    """The share of samples in a cell is the integral of the density over it, within four standard errors."""
    flow = random_flow(1, (8, 8), generator)
    samples = sample(flow, 20_000, generator=generator)[:, 0]
    edges = torch.quantile(samples, torch.tensor([0.1, 0.4, 0.6, 0.9], dtype=torch.float64)).round(decimals=2)
    for low, high in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        points = torch.linspace(low, high, 101, dtype=torch.float64)
        mass = torch.trapezoid(log_density(flow, points[:, None], generator=generator).exp(), points).item()
        share = ((samples >= low) & (samples < high)).double().mean().item()
        assert abs(share - mass) < 4.0 * math.sqrt(mass * (1.0 - mass) / len(samples))


def test_the_estimated_trace_is_unbiased(generator: torch.Generator) -> None:
    """Three hidden layers and twelve coordinates: the mean over sign vectors is the exact trace."""
    flow = random_flow(12, (8, 7, 6), generator, steps=1)
    state = flow.mean[None] + 0.3
    # With W_1 = W_1 and a linear third layer folded into the last, the same field has two hidden layers: exact trace.
    field = replace(flow.field, linear=frozenset({3}))
    last = field.weights[3] @ field.weights[2]
    bias = field.weights[3] @ field.biases[2] + field.biases[3]
    folded = Network(weights=(*field.weights[:2], last), biases=(*field.biases[:2], bias), activation=field.activation)
    exact = log_density(replace(flow, field=folded), state, generator=generator).item()
    draws = log_density(replace(flow, field=field), state.expand(20_000, -1), generator=generator)
    assert draws.std().item() > 1e-3
    assert abs(draws.mean().item() - exact) < 4.0 * draws.std().item() / math.sqrt(len(draws))


def test_the_noise_is_the_generators(generator: torch.Generator) -> None:
    flow = random_flow(12, (8, 7, 6), generator, steps=2)
    states = flow.mean.expand(5, -1)
    one, two = (log_density(flow, states, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    assert torch.equal(one, two)
    assert not torch.equal(one, log_density(flow, states, generator=torch.Generator().manual_seed(4)))


def test_a_flow_starts_near_the_gaussian_of_the_states(generator: torch.Generator) -> None:
    states = torch.randn(400, 3, generator=generator, dtype=torch.float64) @ torch.tensor(
        [[1.0, 0.8, 0.1], [0.0, 0.5, 0.2], [0.0, 0.0, 2.0]], dtype=torch.float64
    )
    flow = start_flow(states, (16, 16), "tanh", steps=4, generator=generator)
    law = MultivariateNormal(states.mean(dim=0), scale_tril=flow.factor)
    gap = log_density(flow, states, generator=generator) - law.log_prob(states)  # type: ignore[no-untyped-call]
    assert gap.abs().mean() < 0.5
    assert all((weight != 0).all() for weight in flow.field.weights)
    assert flow.evaluations == 16


@pytest.mark.parametrize("columns", [[0, 0], [0, 2]])
def test_states_without_a_density_are_refused(columns: list[int], generator: torch.Generator) -> None:
    states = torch.randn(50, 3, generator=generator, dtype=torch.float64)
    states[:, 2] = 7.0
    with pytest.raises(SurrogateError, match="lie on a plane"):
        start_flow(states[:, columns], (4,), "tanh", steps=2, generator=generator)


def test_trajectories_end_at_the_normals_and_hold_the_field(generator: torch.Generator) -> None:
    flow = random_flow(2, (6, 6), generator)
    normals = torch.randn(10, 2, generator=generator, dtype=torch.float64)
    points, velocity = trajectories(flow, transport(flow, normals))
    assert points.shape == (10 * (flow.steps + 1), 3)
    torch.testing.assert_close(points[-10:, :2], normals, rtol=1e-5, atol=1e-5)
    assert points[:10, 2].eq(1.0).all()
    assert points[-10:, 2].eq(0.0).all()
    torch.testing.assert_close(velocity, outputs(flow.field, points))
