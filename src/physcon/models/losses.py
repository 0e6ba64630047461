"""Training objectives of a neural process for one task; smaller is better.

All of them start from the evidence lower bound with the latent of the targets,

    loss = -sum log N(u; mean, std²) + KL(q(z | targets) || q(z | contexts)),

and add the physics: either a penalty on the residual (`soft_constraint_loss`), or a
score of the conditioned prediction (`scored_loss`).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array, ArrayLike, Float, PRNGKeyArray, PyTree, Scalar
from physcon.models.anp import ANP
from physcon.models.encoders import Latent
from physcon.models.predictor import Observations, Prediction
from physcon.models.scores import Score, negative_log_likelihood


def latent_kl(posterior: Latent, prior: Latent) -> Scalar:
    """KL(posterior || prior) of two diagonal Gaussians; zero only if they are equal."""
    log_ratio = posterior.log_variance - prior.log_variance
    shift = (posterior.mean - prior.mean) ** 2 / jnp.exp(prior.log_variance)
    return 0.5 * jnp.sum((jnp.expm1(log_ratio) - log_ratio) + shift)


class TrainingPass(NamedTuple):
    """The prediction at the targets, the latent z that it used, and the KL term.

    z is drawn from the latent Gaussian of the targets.
    """

    prediction: Prediction
    z: Float[Array, " h"]
    kl: Scalar


def training_pass(
    model: ANP,
    contexts: Observations,
    targets: Observations,
    key: PRNGKeyArray | None = None,
    dropout: bool = False,
) -> TrainingPass:
    """Compute the forward pass that all objectives share.

    Without a key, z is the latent mean and there is no dropout.
    """
    latent_key, *keys = [None] * 4 if key is None else jax.random.split(key, 4)
    prior_key, posterior_key, forward_key = keys if dropout else (None, None, None)
    prior = model.latent(contexts, prior_key)
    posterior = model.latent(targets, posterior_key)
    z = posterior.mean if latent_key is None else posterior.sample(latent_key)
    prediction = model(contexts, targets.points, z, forward_key)
    return TrainingPass(prediction, z, latent_kl(posterior, prior))


def scored_loss(
    model: ANP,
    contexts: Observations,
    targets: Observations,
    key: PRNGKeyArray | None = None,
    *,
    score: Score,
    dropout: bool = False,
) -> Scalar:
    """score(targets; mean, std) + KL of one task, with one latent sample.

    For training through the constraint, pass a score with rows (`make_score`). The
    targets are then k groups of n (times, with n points each), in this order.

    Source:
        Kim et al. 2019, eq. 3; Hansen et al. 2023, section 3.3, for the density after
        conditioning; Knoblauch, Jewson and Damoulas, JMLR 23 (2022), for other scores.
    """
    out = training_pass(model, contexts, targets, key, dropout)
    return out.kl + score(targets.values, *out.prediction)


def negative_elbo(
    model: ANP,
    contexts: Observations,
    targets: Observations,
    key: PRNGKeyArray | None = None,
    *,
    dropout: bool = False,
) -> Scalar:
    """-sum log N(u; mean, std²) + KL, the negative evidence lower bound of one task.

    Source:
        Kim et al. 2019, eq. 3, with one latent sample.
    """
    score = negative_log_likelihood
    return scored_loss(model, contexts, targets, key, score=score, dropout=dropout)


def soft_constraint_loss(
    model: ANP,
    contexts: Observations,
    targets: Observations,
    key: PRNGKeyArray | None = None,
    *,
    residual: Callable[..., Scalar],
    weight: ArrayLike,
    dropout: bool = False,
) -> Scalar:
    """`negative_elbo` + weight · mean r², with the residual r of the equation (SoftC).

    z is constant while the mean is differentiated. In the published code the
    coordinates of the targets also enter the latent encoder, so its derivatives contain
    the change of z. This amounts to 5e-5 to 1e-3 of the penalty, for the published
    weights on the porous medium equation.

    Args:
        residual: ``residual(u, t, x)`` at one point for a function ``u(t, x)``, for
            example the method of a problem.
        weight: λ for one task. The published code adds one λ to a *sum* over the tasks
            of a batch: its λ = 1 at batch size 250 is weight 1 / 250 here.

    Source:
        Hansen et al. 2023, section 4 (SoftC-ANP).
    """
    out = training_pass(model, contexts, targets, key, dropout)
    loss = out.kl + negative_log_likelihood(targets.values, *out.prediction)
    return loss + weight * residual_penalty(
        residual, model.mean_function(contexts, out.z), targets.points
    )


def residual_penalty(
    residual: Callable[..., Scalar],
    u: Callable[..., Scalar],
    points: Float[Array, "m dim"],
) -> Scalar:
    """Mean over points of residual(u, *point)², by automatic differentiation of u."""
    return jnp.mean(jax.vmap(lambda point: residual(u, *point))(points) ** 2)


def mean_over_tasks(
    loss: Callable[..., Scalar],
) -> Callable[[PyTree, PyTree, PRNGKeyArray], Scalar]:
    """Turn a loss ``(params, task, key)`` into one of ``(params, batch, key)``."""

    def batch_loss(params: PyTree, batch: PyTree, key: PRNGKeyArray) -> Scalar:
        keys = jax.random.split(key, jax.tree.leaves(batch)[0].shape[0])
        return jnp.mean(jax.vmap(loss, (None, 0, 0))(params, batch, keys))

    return batch_loss
