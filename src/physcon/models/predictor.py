"""Predictions: a mean and a standard deviation per target point."""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics.safe import power_of_two
from physcon._numerics.safe import sqrt as safe_sqrt
from physcon._show import shown
from physcon._typing import Any, Array, Float
from physcon.problems.observations import Observations as Observations


class Prediction(NamedTuple):
    """A Gaussian per target point and channel: `mean` and `std`, ``(m, c)``."""

    mean: Float[Array, "*m c"]
    std: Float[Array, "*m c"]

    __repr__ = shown


@runtime_checkable
class Predictor(Protocol):
    """A function ``(params, contexts, points, key) -> Prediction``.

    Kept for version 0.1; `physcon.models.Model` is what the package itself uses.
    """

    def __call__(self, *args: Any) -> Prediction: ...


def mixture_moments(
    means: Float[Array, "k *m"], stds: Float[Array, "k *m"], ddof: int = 0
) -> Prediction:
    """Mean and standard deviation of an equal mixture of k Gaussians.

    mean = E[means],  std² = E[stds²] + Var[means]  (the law of total variance), in any
    unit of the values.

    Args:
        ddof: divisor k - ddof of the variance of the means. 0: the moments of these k
            components; 1: the unbiased estimate for the mixture that they were drawn
            from.

    >>> mixture_moments(jnp.array([[-1.0], [1.0]]), jnp.zeros((2, 1))).std.item()
    1.0
    """
    k = means.shape[0]
    require(
        k > ddof, f"more than {ddof} components", k, "draw more samples or lower ddof"
    )
    mean = jnp.mean(means, axis=0)
    deviations = means - mean[None]
    largest = jnp.maximum(jnp.max(jnp.abs(deviations), axis=0), jnp.max(stds, axis=0))
    unit = power_of_two(largest)
    within = jnp.mean((stds / unit[None]) ** 2, axis=0)
    between = jnp.sum((deviations / unit[None]) ** 2, axis=0) / (k - ddof)
    return Prediction(mean, unit * safe_sqrt(within + between))
