from __future__ import annotations

import torch

from surrogate.dataset import Dataset, normalise
from surrogate.functions.network import Network, flatten, hessian_vector, value
from surrogate.standardisation import fit_standardisation, to_normalised, to_raw


def test_to_normalised_and_to_raw_are_inverse(network: Network, dataset: Dataset) -> None:
    standardisation = fit_standardisation(dataset.x, dataset.y)
    torch.testing.assert_close(
        flatten(to_raw(to_normalised(network, standardisation), standardisation)), flatten(network)
    )


def test_normalised_network_reproduces_normalised_labels(network: Network, dataset: Dataset) -> None:
    """Value, gradient and curvature labels scale exactly as the network's own derivatives do."""
    standardisation = fit_standardisation(dataset.x, dataset.y)
    scaled, data = to_normalised(network, standardisation), normalise(dataset, standardisation)
    assert data.directions is not None
    y, gradient, product = hessian_vector(scaled, data.x, data.directions)
    torch.testing.assert_close(y, data.y)
    torch.testing.assert_close(gradient, data.gradient)
    torch.testing.assert_close(product, data.curvature)


def test_normalised_data_has_zero_mean_and_unit_variance(dataset: Dataset) -> None:
    data = normalise(dataset, fit_standardisation(dataset.x, dataset.y))
    for part in (data.x, data.y[:, None]):
        torch.testing.assert_close(part.mean(dim=0), torch.zeros(part.shape[1], dtype=torch.float64))
        torch.testing.assert_close(part.std(dim=0, correction=0), torch.ones(part.shape[1], dtype=torch.float64))


def test_constant_columns_stay_finite(network: Network) -> None:
    """0.1 has no exact mean of 512, so the standard deviation of the column is rounding noise, not 0."""
    x = torch.full((512, 3), 0.1, dtype=torch.float64)
    standardisation = fit_standardisation(x, 1.1 * torch.ones(512, dtype=torch.float64))
    assert standardisation.x_scale.tolist() == [1.0, 1.0, 1.0]
    assert float(standardisation.y_scale) == 1.0
    torch.testing.assert_close(
        value(to_raw(to_normalised(network, standardisation), standardisation), x), value(network, x)
    )
