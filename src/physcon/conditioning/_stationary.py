"""Stationary priors on uniform grids, at O(n log n), for up to millions of points."""

from collections.abc import Callable
from functools import lru_cache

import jax
import jax.numpy as jnp

from physcon._checks import require, require_no_negative
from physcon._numerics.closure import Pointwise, pointwise
from physcon._numerics.float64 import float64_primal
from physcon._numerics.fourier import even_spectrum
from physcon._status import Outcome, choose, settle
from physcon._typing import Array, ArrayLike, Float
from physcon.conditioning.gaussian import Gaussian
from physcon.grid import Grid
from physcon.kernels import Kernel
from physcon.linear_map import Circulant, Compose, Diagonal


def stationary(
    mean: Float[Array, "*x"],
    kernel: Kernel,
    grid: Grid,
    std: ArrayLike,
    length: ArrayLike,
    *,
    padding: int = 2,
    periodic: bool = False,
    throw: bool = True,
) -> Gaussian:
    """N(mean, std k((x - y) / length) std) on a uniform grid, by circulant embedding.

    Shapes:
        Fields have the shape of the grid, ``(*x)``. `std` is a scalar or ``(*x)``
        (errors of varying size with one correlation). `length` is a scalar or one value
        per axis, ``(dim,)``, in the units of the grid.

    Args:
        kernel: a correlation function from `physcon.kernels`.
        padding: ratio between the lengths of the torus and the grid. Smooth kernels
            need more than 2 unless their length is small compared with the domain.
        periodic: whether the grid itself is the torus; the density then has a closed
            form.

    Raises:
        RuntimeError: at run time under ``throw=True`` if the torus is too short, that
            is if more than 1e-6 of the variance would come from negative eigenvalues. A
            smaller share is rounding of the kernel and is set to zero. Under
            ``throw=False`` every negative eigenvalue is set to zero.

    Source:
        Dietrich and Newsam, SIAM J. Sci. Comput. 18 (1997) 1088.

    >>> from physcon.kernels import matern32
    >>> grid = Grid.uniform(0.0, 1.0, 8)
    >>> prior = stationary(jnp.zeros(8), matern32, grid, 2.0, 0.1)
    >>> [round(v, 4) for v in prior.variance().tolist()][:2]
    [4.0, 4.0]
    """
    torus = _torus(grid, padding, periodic)
    dtype = mean.dtype
    lengths = jnp.broadcast_to(jnp.asarray(length, dtype), (grid.ndim,))
    require_no_negative(lengths, "a length", "pass the correlation length of each axis")
    steps = jnp.stack([h.astype(dtype) for h in grid.spacings]) / lengths

    values = _spectrum(torus)(steps, pointwise(kernel))
    negative = -jnp.sum(jnp.minimum(values, 0)) / jnp.sum(jnp.maximum(values, 0))
    outcome = choose((~(negative <= 1e-6), Outcome.not_finite))
    spread = jnp.broadcast_to(jnp.asarray(std, dtype), grid.shape)
    require_no_negative(spread, "std", "pass standard deviations")
    parts = (mean, spread, values)
    mean, spread, values = settle(parts, outcome, throw, {"not_finite": _TOO_SHORT})
    root = Circulant(_safe_root(values), grid.shape, torus)
    return Gaussian(mean, Compose(Diagonal(spread), root))


def _torus(grid: Grid, padding: int, periodic: bool) -> tuple[int, ...]:
    """The number of points of the torus along each axis."""
    require(
        all(grid.is_uniform(a) for a in range(grid.ndim)),
        "a uniform grid",
        "varying spacings",
        "use a dense covariance (Gaussian.from_covariance) on other grids",
    )
    require(
        padding >= 2, "a padding of 2 or more", padding, "an embedding doubles the grid"
    )
    return tuple(n if periodic else _fast_size(padding * (n - 1)) for n in grid.shape)


@lru_cache(maxsize=64)
def _spectrum(torus: tuple[int, ...]) -> Callable[[Array, Pointwise], Array]:
    """The function (steps, kernel) -> spectrum of the kernel on a torus."""

    @float64_primal
    def spectrum(steps: Array, kernel: Pointwise) -> Float[Array, "*f"]:
        squared = jnp.zeros((), steps.dtype)
        for axis, n in enumerate(torus):
            k = jnp.arange(n)
            distance = jnp.minimum(k, n - k).astype(steps.dtype) * steps[axis]
            squared = squared[..., None] + (distance**2).reshape((1,) * axis + (-1,))
        return even_spectrum(kernel(squared))

    return spectrum


def _safe_root(values: Array) -> Array:
    """√max(values, 0), with zero derivative where a value is only rounding.

    Rounding is measured relative to the largest value.
    """
    floor = jnp.finfo(values.dtype).eps * jnp.max(values)
    resolved = values > floor
    root = jnp.sqrt(jnp.where(resolved, values, 1))
    rest = jax.lax.stop_gradient(jnp.sqrt(jnp.maximum(values, 0)))
    return jnp.where(resolved, root, rest)


def _fast_size(least: int) -> int:
    """The smallest even product of 2, 3 and 5 that is at least `least`."""
    size = max(2, least + least % 2)
    while True:
        rest = size
        for p in (2, 3, 5):
            while rest % p == 0:
                rest //= p
        if rest == 1:
            return size
        size += 2


_TOO_SHORT = (
    "stationary: expected a torus on which the kernel has a non-negative spectrum, got "
    "one that is too short for this length; increase padding, shorten length, or use a "
    "rougher kernel"
)
