"""What every probabilistic model gives: a mean and a standard deviation at target
points.
"""

from typing import NamedTuple, Protocol, runtime_checkable

import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, PyTree


class Observations(NamedTuple):
    """`values` ``(n, c)`` at `points` ``(n, dim)``, in any order: a model's contexts or
    targets.
    """

    points: Float[Array, "n dim"]
    values: Float[Array, "n c"]


class Prediction(NamedTuple):
    """A Gaussian per target point and channel: `mean` and `std`, ``(m, c)``."""

    mean: Float[Array, "*m c"]
    std: Float[Array, "*m c"]


@runtime_checkable
class Predictor(Protocol):
    """``(params, contexts, points, key) -> Prediction`` at `points` ``(m, dim)``, for
    one task.
    """

    def __call__(
        self,
        params: PyTree,
        contexts: Observations,
        points: Float[Array, "m dim"],
        key: PRNGKeyArray,
        /,
    ) -> Prediction: ...


def mixture_moments(
    means: Float[Array, "k *m"], stds: Float[Array, "k *m"], ddof: int = 0
) -> Prediction:
    """Mean and standard deviation of an equal mixture of k Gaussians, by the law of
    total variance.

    mean = E[means],  std² = E[stds²] + Var[means].

    Args:
        ddof: divisor k - ddof of the variance of the means. 0: the moments of these k components;
            1: the unbiased estimate for the mixture that they were drawn from.

    >>> mixture_moments(jnp.array([[-1.0], [1.0]]), jnp.zeros((2, 1))).std.item()
    1.0
    """
    k = means.shape[0]
    require(
        k > ddof, f"more than {ddof} components", k, "draw more samples or lower ddof"
    )
    mean = jnp.mean(means, axis=0)
    variance = jnp.mean(stds**2, axis=0) + jnp.sum(
        (means - mean[None]) ** 2, axis=0
    ) / (k - ddof)
    return Prediction(mean, jnp.sqrt(variance))
