"""Derived quantities of a Gaussian field: covariances, totals, fluxes, quantiles.

A linear quantity A u of a Gaussian field is Gaussian again, with mean A μ and root A R,
and most functions here apply this fact to a particular A. No n-by-n array is formed.
Nonlinear quantities, such as a shock position, are estimated from samples.
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.scipy.special import ndtri

from physcon import metrics
from physcon._checks import require, require_given
from physcon._deprecation import accepts_old_positions
from physcon._numerics.float64 import float64_primal
from physcon._typing import Array, ArrayLike, Float, Int, PRNGKeyArray
from physcon.conditioning.gaussian import Gaussian
from physcon.grid import Grid
from physcon.linear_map import Compose, LinearMap, Rows


def linear_image(gaussian: Gaussian, operator: LinearMap) -> Gaussian:
    """The distribution of A u, with its own mean, variance, samples and covariance.

    Shapes:
        u has shape ``(*x)``, and A u the output shape of the operator.

    >>> field = Gaussian.diagonal(jnp.ones(2), jnp.array([3.0, 4.0]))
    >>> linear_image(field, Rows(jnp.ones((1, 2)))).std().tolist()
    [5.0]
    """
    require_given(gaussian, Gaussian, "gaussian")
    return Gaussian(_apply(operator, gaussian.mean), Compose(operator, gaussian.root))


def total(gaussian: Gaussian, grid: Grid) -> Gaussian:
    """The integral over the grid, such as the total mass, as a Gaussian ``(1,)``.

    It is exact for cell averages, and a quadrature for nodal values (`Grid.weights`).
    """
    require_given(gaussian, Gaussian, "gaussian")
    return linear_image(
        gaussian, Rows(grid.weights()[None].astype(gaussian.mean.dtype))
    )


def values_at(gaussian: Gaussian, index: Int[Array, "k axes"]) -> Gaussian:
    """The field at k points given by their indices, such as a probe or a face.

    For fields joined by `join_fields` the index counts along the concatenation, ``(k,
    1)``.
    """
    require_given(gaussian, Gaussian, "gaussian")
    shape = gaussian.mean.shape
    require(
        index.shape[1] == len(shape),
        f"{len(shape)} indices per point of a field of shape {shape}",
        index.shape[1],
        "pass an array (k, axes)",
    )
    return linear_image(gaussian, Rows(_one_hot(index, gaussian.mean)))


def covariance_apply(gaussian: Gaussian, u: Float[Array, "*x"]) -> Float[Array, "*x"]:
    """Apply the covariance to u, by one `rmv` and one `mv` of the root."""
    require_given(gaussian, Gaussian, "gaussian")
    return _covariance(gaussian.root, u)


def covariance_columns(
    gaussian: Gaussian, index: Int[Array, "k axes"]
) -> Float[Array, "k *x"]:
    """Covariance of the field with its value at k points, as one field per point."""
    require_given(gaussian, Gaussian, "gaussian")
    rows = _one_hot(index, gaussian.mean)
    return jax.vmap(lambda row: _covariance(gaussian.root, row))(rows)


def covariance_block(
    gaussian: Gaussian, rows: Int[Array, "j axes"], columns: Int[Array, "k axes"]
) -> Float[Array, "j k"]:
    """Covariances between the points of two sets."""
    require_given(gaussian, Gaussian, "gaussian")
    return covariance_columns(gaussian, columns)[(slice(None), *rows.T)].T


def quantile(gaussian: Gaussian, probability: ArrayLike) -> Float[Array, "*x"]:
    """Marginal quantiles mean + std Φ⁻¹(probability) at every point.

    >>> quantile(Gaussian.diagonal(jnp.ones(1), jnp.ones(1)), 0.5).tolist()
    [1.0]
    """
    require_given(gaussian, Gaussian, "gaussian")
    return gaussian.mean + gaussian.std() * ndtri(
        jnp.asarray(probability, gaussian.mean.dtype)
    )


@accepts_old_positions
def shock_positions(
    gaussian: Gaussian,
    x: Float[Array, " n"],
    key: PRNGKeyArray,
    number: int,
    threshold: ArrayLike = 0.0,
    *,
    interpolate: bool = False,
) -> metrics.ShockPosition:
    """Shock positions of `number` samples (`metrics.shock_position`), ``(number)``.

    The position is the first point at which a sample falls to the threshold. Samples
    are drawn pathwise: no covariance is factorised, and each sample obeys the exact
    constraints.
    """
    require_given(gaussian, Gaussian, "gaussian")
    draws = gaussian.sample(key, (number,))
    found = partial(metrics.shock_position, interpolate=interpolate)
    return jax.vmap(lambda u: found(x, u, threshold))(draws)


@accepts_old_positions
def shock_position_quantile(
    gaussian: Gaussian,
    x: Float[Array, " n"],
    probability: ArrayLike,
    key: PRNGKeyArray,
    number: int = 1000,
    *,
    threshold: ArrayLike = 0.0,
) -> Float[Array, "..."]:
    """Quantiles of the first crossing of a threshold, estimated from `number` samples.

    The result has the shape of `probability`. The standard error of the probability is
    √(p (1 - p) / number). A sample that does not fall to the threshold counts as a
    crossing at or beyond the last point.

    >>> x = jnp.linspace(0.0, 1.0, 11)
    >>> front = Gaussian.diagonal(0.55 - x, jnp.full(11, 1e-3))
    >>> levels, key = jnp.array([0.05, 0.95]), jax.random.key(0)
    >>> low, high = shock_position_quantile(front, x, levels, key)
    >>> bool((low > 0.54) & (low < high) & (high < 0.56))
    True
    """
    found = shock_positions(gaussian, x, key, number, threshold, interpolate=True)
    return jnp.quantile(found.position, jnp.asarray(probability, found.position.dtype))


def _one_hot(
    index: Int[Array, "k axes"], like: Float[Array, "*x"]
) -> Float[Array, "k *x"]:
    zero = jnp.zeros((index.shape[0], *like.shape), like.dtype)
    return zero.at[(jnp.arange(index.shape[0]), *index.T)].set(1)


@float64_primal
def _apply(operator: LinearMap, u: Array) -> Array:
    return operator.mv(u)


@float64_primal
def _covariance(root: LinearMap, u: Array) -> Array:
    return root.mv(root.rmv(u))
