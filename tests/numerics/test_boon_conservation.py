"""Hard boundary values and conservation together: both residuals at rounding."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from physcon.operators import FNO, BoundaryFNO


def test_conditioned_network_keeps_its_boundary_values():
    """The variance is zero on Dirichlet sides, so conditioning on the mass leaves them alone."""
    grid = pc.Grid.uniform(0.0, 1.0, 33, location="nodes")
    network = BoundaryFNO(FNO.init(jax.random.key(0), 1, 2, (6,), 6, 2))
    u = jnp.sin(7 * grid.coordinates[0])[None]

    @eqx.filter_jit
    def predict(network, u, ends, mass):
        boundary = pc.Boundary((pc.Dirichlet(ends[0]), pc.Dirichlet(ends[1])))
        mean, variance = network.mean_and_variance(u, boundary, grid)
        prior = pc.Gaussian.diagonal(mean[0], jnp.sqrt(variance[0]))
        return mean[0], pc.condition(prior, pc.integral(grid, mass)).posterior

    ends, mass = jnp.array([1.25, -0.5]), jnp.asarray(0.75)
    mean, posterior = predict(network, u, ends, mass)
    np.testing.assert_array_equal(posterior.mean[jnp.array([0, -1])], ends)
    weights = np.asarray(grid.weights(), np.float64)
    total = weights @ np.asarray(posterior.mean, np.float64)
    scale = weights @ np.abs(np.asarray(posterior.mean, np.float64)) + float(mass)
    assert abs(total - float(mass)) <= 4 * np.finfo("float32").eps * scale
    assert abs(weights @ np.asarray(mean, np.float64) - float(mass)) > 1e-2
    assert float(posterior.variance()[0]) == 0.0
