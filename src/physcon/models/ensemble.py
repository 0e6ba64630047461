"""Deep ensembles: a small network trained from several starts, as one vmapped module.

Members agree where the data determine the function and differ elsewhere. Their spread
is correlated over the field; `ensemble_prior` passes it to `condition` as a low-rank
covariance.

Source: Lakshminarayanan, Pritzel and Blundell, NeurIPS 2017.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian
from physcon.models.heads import bounded_std
from physcon.models.predictor import Observations, Prediction, mixture_moments
from physcon.models.scores import Score, negative_log_likelihood


class SetRegressor(eqx.Module):
    """A member: from contexts and target points to means and standard deviations.

    The contexts are embedded one by one and averaged; a second network takes the
    average and the coordinates of a target.

    Shapes: contexts ``(n, dim)`` and ``(n, c)``, any n, any order; points ``(m, dim)``.

    Attributes:
        least_std, max_std: bounds of the standard deviation; None for no upper bound.

    Source: Garnelo et al., ICML 2018 (conditional neural process).
    """

    encoder: eqx.nn.MLP
    decoder: eqx.nn.MLP
    least_std: float = eqx.field(static=True, default=1e-3)
    max_std: float | None = eqx.field(static=True, default=None)

    @classmethod
    def create(
        cls,
        key: PRNGKeyArray,
        dim: int = 2,
        channels: int = 1,
        width: int = 64,
        depth: int = 2,
        *,
        max_std: float | None = None,
    ) -> "SetRegressor":
        """Random weights."""
        encode, decode = jax.random.split(key)
        gelu = jax.nn.gelu
        return cls(
            eqx.nn.MLP(dim + channels, width, width, depth, gelu, key=encode),
            eqx.nn.MLP(width + dim, 2 * channels, width, depth, gelu, key=decode),
            max_std=max_std,
        )

    def __call__(
        self, contexts: Observations, points: Float[Array, "m dim"]
    ) -> Prediction:
        pairs = jnp.concatenate([contexts.points, contexts.values], axis=1)
        summary = jnp.mean(jax.vmap(self.encoder)(pairs), axis=0)

        def decode(point: Array) -> tuple[Array, Array]:
            mean, raw = jnp.split(self.decoder(jnp.concatenate([summary, point])), 2)
            return mean, bounded_std(raw, self.least_std, self.max_std)

        return Prediction(*jax.vmap(decode)(points))


def make_ensemble(key: PRNGKeyArray, members: int = 5, **options: Any) -> SetRegressor:
    """Random instances of `SetRegressor` as one module: arrays lead with the member.

    Any Equinox module that maps its inputs to a `Prediction` can be a member:
    ``eqx.filter_vmap(make)(jax.random.split(key, members))``.

    Args:
        options: of `SetRegressor.create`.
    """
    require(
        members >= 2, "2 or more members", members, "raise members: one has no spread"
    )
    keys = jax.random.split(key, members)
    return eqx.filter_vmap(lambda k: SetRegressor.create(k, **options))(keys)


def ensemble_members(params: eqx.Module, *inputs: Any) -> Prediction:
    """Every member's mean and std, ``(k, m, c)``.

    Args:
        inputs: what a member takes: contexts and points for a `SetRegressor`, a field
            for an `OperatorRegressor`.
    """
    return eqx.filter_vmap(lambda member: member(*inputs))(params)


def ensemble_predict(
    params: eqx.Module,
    contexts: Observations,
    points: Float[Array, "m dim"],
    key: PRNGKeyArray,
    /,
) -> Prediction:
    """Mean and std of the members' equal mixture. The key is not used."""
    del key
    return mixture_moments(*ensemble_members(params, contexts, points))


def ensemble_prior(
    params: eqx.Module, *inputs: Any, shape: tuple[int, ...] | None = None
) -> Gaussian:
    """The mixture as a `Gaussian` that keeps the correlation between members' errors.

    Shapes: the field is ``(m, c)``, or any `shape` of that size.
    """
    means, stds = ensemble_members(params, *inputs)
    shape = means.shape[1:] if shape is None else shape
    return Gaussian.from_mixture(means.reshape(-1, *shape), stds.reshape(-1, *shape))


def ensemble_loss(
    params: eqx.Module,
    contexts: Observations,
    targets: Observations,
    key: PRNGKeyArray,
    score: Score = negative_log_likelihood,
) -> Scalar:
    """Sum over members of the mean score over points, for one task.

    Members do not interact: each trains as if it were alone. Minimise the mean over
    tasks. The key is not used.
    """
    del key
    mean, std = ensemble_members(params, contexts, targets.points)
    scores = jax.vmap(lambda mean, std: score(targets.values, mean, std))(mean, std)
    return jnp.sum(scores) / targets.values.size
