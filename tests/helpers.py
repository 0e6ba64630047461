"""One table of priors and one of constraints: a new linear map or constraint builder
enters every property test by one line here.

Builders take a NumPy generator, so that the data are random and the shapes fixed (one
compilation).
"""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from physcon.conditioning import stack
from physcon.linear_map import LinearMap

Rng = np.random.Generator
SHAPE = (3, 4)
SIZE = 12


def _std(rng: Rng, decades: float = 1.0) -> jax.Array:
    return jnp.asarray(10 ** rng.uniform(-decades, 0, SHAPE))


def _some_zero(rng: Rng) -> LinearMap:
    keep = np.ones(SIZE)
    keep[[2, 7]] = 0
    return pc.Diagonal(_std(rng) * jnp.asarray(keep.reshape(SHAPE)))


@eqx.filter_jit
def _condition(prior: pc.Gaussian, constraint: pc.LinearConstraint) -> pc.Conditioned:
    return pc.condition(prior, constraint, throw=False)


def _posterior(noise: float | None) -> Callable[[Rng], LinearMap]:
    def build(rng: Rng) -> LinearMap:
        prior = pc.Gaussian.diagonal(jnp.zeros(SHAPE), _std(rng))
        return _condition(prior, rows(rng, 2, noise)).posterior.root

    return build


def rows(rng: Rng, m: int, noise: float | None = None) -> pc.LinearConstraint:
    """Random rows, with random noise of the given size."""
    sigma = None if noise is None else jnp.asarray(noise * rng.uniform(0.5, 2, m))
    weights = jnp.asarray(rng.normal(size=(m, *SHAPE)))
    return pc.LinearConstraint(pc.Rows(weights), jnp.asarray(rng.normal(size=m)), sigma)


def _windows(rng: Rng) -> pc.LinearConstraint:
    """Integrals over nested windows: [0, 1], [0, 2/3], [0, 1/3]."""
    weights = (
        np.stack([np.arange(SIZE) < k for k in (12, 8, 4)]).reshape(3, *SHAPE) / SIZE
    )
    return pc.LinearConstraint(
        pc.Rows(jnp.asarray(weights)), jnp.asarray(rng.normal(size=3))
    )


def _moments(rng: Rng) -> pc.LinearConstraint:
    """Moments 0 to 4 on [0, 1]: a Hilbert matrix of condition 5e5."""
    x = (np.arange(SIZE) + 0.5) / SIZE
    weights = np.stack([x**k for k in range(5)]).reshape(5, *SHAPE)
    return pc.LinearConstraint(
        pc.Rows(jnp.asarray(weights)), jnp.asarray(rng.normal(size=5))
    )


#: Roots of prior covariances over fields of shape `SHAPE`.
ROOTS: dict[str, Callable[[Rng], LinearMap]] = {
    "diagonal": lambda rng: pc.Diagonal(_std(rng)),
    "some zero variances": _some_zero,
    "posterior": _posterior(None),
    "noisy posterior": _posterior(0.3),
    "ensemble and noise": lambda rng: (
        pc.Gaussian.from_samples(
            jnp.asarray(rng.normal(size=(5, *SHAPE))), _std(rng)
        ).root
    ),
}

#: Constraints on fields of shape `SHAPE`.
CONSTRAINTS: dict[str, Callable[[Rng], pc.LinearConstraint]] = {
    "integral": lambda rng: pc.integral(
        pc.Grid.uniform((0, 0), (1, 2), SHAPE), rng.normal()
    ),
    "noisy integral": lambda rng: pc.integral(
        pc.Grid.uniform((0, 0), (1, 2), SHAPE), rng.normal(), noise_std=0.1
    ),
    "2 rows": lambda rng: rows(rng, 2),
    "3 windows": _windows,
    "5 moments": _moments,
    "5 noisy rows": lambda rng: rows(rng, 5, 0.2),
    "exact and noisy rows": lambda rng: stack(
        rows(rng, 1), rows(rng, 2, 0.2), rows(rng, 1)
    ),
    "2 sensors": lambda rng: pc.conditioning.sensors(
        pc.Grid.uniform((0, 0), (1, 2), SHAPE),
        jnp.asarray(rng.uniform(0, 1, (2, 2))),
        jnp.asarray(rng.normal(size=2)),
        noise_std=0.1,
    ),
    "from_fn": lambda rng: pc.conditioning.from_fn(
        lambda u: jnp.stack([jnp.sum(u[0]), u[1, 1] - 2 * u[2, 3]]), SHAPE, rng.normal()
    ),
}


class Dense(NamedTuple):
    """A Gaussian posterior by textbook algebra in NumPy's float64."""

    mean: np.ndarray
    covariance: np.ndarray
    log_evidence: float


def matrix(linear_map: LinearMap) -> np.ndarray:
    """The map as a dense matrix, column by column through `mv` alone."""
    n = int(np.prod(linear_map.in_shape))
    basis = jnp.eye(n).reshape(n, *linear_map.in_shape)
    return np.asarray(jax.vmap(linear_map.mv)(basis), float).reshape(n, -1).T


def gaussian(rng: Rng, root: str) -> pc.Gaussian:
    """A prior of the table with a random mean."""
    return pc.Gaussian(jnp.asarray(rng.normal(size=SHAPE)), ROOTS[root](rng))


def dense_condition(prior: pc.Gaussian, constraint: pc.LinearConstraint) -> Dense:
    """Rasmussen and Williams (2006), eq. A.6, with a pseudo-inverse for what is already
    certain.
    """
    a, g = matrix(prior.root), matrix(constraint.operator)
    mean, b = np.asarray(prior.mean, float).ravel(), np.asarray(constraint.value, float)
    covariance = a @ a.T
    noise = constraint.noise_std
    s = g @ covariance @ g.T + (
        0 if noise is None else np.diag(np.asarray(noise, float) ** 2)
    )
    missing = b - g @ mean
    gain = np.linalg.solve(s, g @ covariance).T
    distance = missing @ np.linalg.solve(s, missing)
    evidence = -0.5 * (distance + np.linalg.slogdet(2 * np.pi * s)[1])
    return Dense(
        mean + gain @ missing, covariance - gain @ g @ covariance, float(evidence)
    )


def dense_log_prob(mean: np.ndarray, covariance: np.ndarray, u: np.ndarray) -> float:
    """Log density on the support of N(mean, covariance), with respect to its surface
    measure.
    """
    values, vectors = np.linalg.eigh(covariance)
    live = values > 1e-9 * values.max()
    z = vectors[:, live].T @ (u - mean)
    return float(-0.5 * np.sum(z**2 / values[live] + np.log(2 * np.pi * values[live])))


def exact_residual(constraint: pc.LinearConstraint, u: jax.Array) -> np.ndarray:
    """max over rows of |b - G u| / (|G| |u| + |b|), summed in NumPy's float64;
    ``(*batch, m)``.
    """
    g = np.asarray(constraint.operator.rows(), float)
    u, b = np.asarray(u, float), np.asarray(constraint.value, float)
    axes = (tuple(range(1, g.ndim)), tuple(range(u.ndim - g.ndim + 1, u.ndim)))
    missed = np.abs(b - np.tensordot(u, g, axes[::-1]))
    return missed / (np.tensordot(np.abs(u), np.abs(g), axes[::-1]) + np.abs(b))
