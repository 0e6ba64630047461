"""Boxes under a prior without a cheap inverse: the problem in its latent variables.

With u = μ + A z, z white noise, bounds of the field are inequality rows on z, whose
prior has independent errors:

    minimise |z|²  subject to  G A z = b - G μ,  l - μ <= A z <= h - μ

A need not be square or regular: an ensemble stays in its span.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.float64 import in_float64
from physcon._typing import Array, Float
from physcon.conditioning.constraint import LinearConstraint
from physcon.conditioning.gaussian import Gaussian
from physcon.linear_map import Compose, LinearMap, Root, Rows
from physcon.linear_map.basic import size

#: Rows and points together up to which an m-by-m factor is affordable in each step.
MOST = 4096


class Latent(NamedTuple):
    """The problem in latent variables: rows, then one row for each point."""

    prior: Gaussian
    law: LinearConstraint
    ends: tuple[Array, Array]


def in_latent_space(
    prior: Gaussian,
    law: LinearConstraint,
    bounds: tuple[Array, Array],
    ends: tuple[Array, Array],
) -> Latent:
    """The problem of `constrained` in the latent variables of the prior's root.

    Args:
        bounds: of the points.
        ends: smallest and largest values of the rows.
    """
    root, mean = prior.root, prior.mean
    count = law.value.size + mean.size
    require(
        count <= MOST,
        f"at most {MOST} rows and points for a root of type {type(root).__name__}",
        count,
        "pass an ensemble with independent errors on top, Gaussian.from_samples("
        "samples, std), or independent errors, Gaussian.diagonal(mean, std)",
    )
    latent = size(root.in_shape)
    basis = jnp.eye(latent, dtype=mean.dtype).reshape(latent, *root.in_shape)
    columns = jax.vmap(root.mv)(basis)
    seen = jax.vmap(law.operator.mv)(columns).reshape(latent, -1)
    rows = jnp.concatenate([seen, columns.reshape(latent, -1)], axis=1).T

    def moved(end: Array, bound: Array) -> Array:
        row_ends = _less(end, law.operator, mean).reshape(-1)
        point_ends = jnp.where(jnp.isfinite(bound), bound - mean, bound).reshape(-1)
        return jnp.concatenate([row_ends, point_ends])

    low = moved(ends[0], bounds[0])
    high = moved(ends[1], bounds[1])
    noise = None
    if law.noise_std is not None:
        noise = jnp.pad(law.noise_std.reshape(-1), (0, mean.size))
    value = jnp.where(jnp.isfinite(low), low, 0)
    shape = tuple(root.in_shape)
    unit = Gaussian.diagonal(jnp.zeros(shape, mean.dtype), jnp.ones((), mean.dtype))
    whole = LinearConstraint(Rows(rows.reshape(-1, *shape)), value, noise)
    return Latent(unit, whole, (low, high))


def from_latent_space(
    found: Any, prior: Gaussian, bounds: tuple[Array, Array], rows: int
) -> Any:
    """The result of `constrained` for the field, from that for its latent variables.

    Args:
        rows: the number of inequality rows of the field.
    """
    low, high = bounds
    active = found.row_active[rows:].reshape(prior.mean.shape)
    field = in_float64(_field)(prior.root, prior.mean, found.mean)
    mean = jnp.clip(field, low, high)
    mean = jnp.where(active < 0, low, jnp.where(active > 0, high, mean))
    root = Compose(prior.root, found.posterior.root)
    return found._replace(
        mean=mean,
        posterior=Gaussian(mean, root),
        active=active,
        row_active=found.row_active[:rows],
    )


def _field(root: Root, mean: Array, z: Array) -> Float[Array, "*x"]:
    return mean + root.mv(z)


def _less(end: Array, operator: LinearMap, mean: Array) -> Array:
    """The end of each row less G μ, summed in float64; infinite ends stay."""
    finite = jnp.isfinite(end)
    law = LinearConstraint(operator, jnp.where(finite, end, 0))
    return jnp.where(finite, law.residual(mean), end)
