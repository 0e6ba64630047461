"""A `FrontFamily` as a model: the posterior of its latent, and draws of profiles."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian
from physcon.models.front import LOGISTIC_STD, FrontProfile, at_mass
from physcon.models.front_family import LEAST_SPREAD, FrontFamily
from physcon.models.model import Model
from physcon.problems.observations import Observations

#: Values of the latent on each grid. There are several, one inside of the other, with
#: a growing power of the density: the peak of the density is narrower than the distance
#: of values on the first.
_GRID = 65
_POWERS = (1 / 256, 1 / 64, 1 / 16, 1 / 4, 1.0, 1.0)
#: Latents whose log density lies lower by more than this are left out.
_DEPTH = 12.0
#: The part of the front's error that every draw keeps as its own, so that a finite
#: number of draws leaves no position impossible.
_OWN = 0.3


class LatentPosterior(NamedTuple):
    """Equally spaced values of the latent and their probabilities, ``(k,)``."""

    values: Float[Array, " k"]
    weights: Float[Array, " k"]

    def quantile(self, share: Float[Array, " n"]) -> Float[Array, " n"]:
        """Values below which the given shares of the probability lie."""
        return jnp.interp(share, jnp.cumsum(self.weights), self.values)


class FrontModel(Model):
    """Draws of profiles with a front, each with its own latent, front and error of g.

    Attributes:
        family: the trained family.
        times: number of context times; contexts lie on a tensor grid, row = it*nx + ix.
        temper: power of the likelihood of the contexts, below one because the errors
            of one function at many points are correlated.
    """

    family: FrontFamily
    times: int = eqx.field(static=True)
    temper: float = eqx.field(static=True, default=0.05)

    def observe(self, contexts: Observations) -> LatentPosterior:
        """The posterior of the latent given the contexts."""
        return self.posterior(contexts)

    def posterior(
        self,
        contexts: Observations,
        t: Scalar | None = None,
        mass: Scalar | None = None,
    ) -> LatentPosterior:
        """The posterior of the latent given contexts, and the mass at one time.

        The prior is normal with a standard deviation of two: latents of the training
        functions have mean zero and standard deviation one.
        """
        number = self.temper * contexts.values.size

        def log_density(z: Scalar) -> Scalar:
            seen = self.family.log_likelihood(z, contexts, self.times)
            prior = -0.125 * z**2
            if t is None or mass is None:
                return number * seen + prior
            return number * seen + prior + self._evidence(z, t, mass)

        span = (jnp.asarray(-6.0), jnp.asarray(6.0))
        for power in _POWERS:
            z = jnp.linspace(*span, _GRID)
            found = power * jax.vmap(log_density)(z)
            kept = found > jnp.max(found) - _DEPTH
            step = z[1] - z[0]
            lowest = jnp.min(jnp.where(kept, z, jnp.inf))
            highest = jnp.max(jnp.where(kept, z, -jnp.inf))
            span = (lowest - step, highest + step)
        return LatentPosterior(z, jax.nn.softmax(found))

    def draws(
        self,
        seen: LatentPosterior,
        points: Float[Array, "n 2"],
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """`number` draws; see `Model.draws`."""
        t, x = self.family.scaled(points)

        def one(z: Scalar, front: Scalar, w: Scalar) -> Gaussian:
            def at(t: Scalar, x: Scalar) -> tuple[Array, Array]:
                profile = self.family.profile(z, t)
                position = profile.position + front * profile.spread
                own = _OWN * profile.spread
                return self._moments(profile, position, w, own, x)

            return Gaussian.diagonal(*jax.vmap(at)(t, x))

        return jax.vmap(one)(*_strata(seen, key, number))

    def draws_at_mass(
        self,
        contexts: Observations,
        t: Scalar,
        x: Float[Array, " n"],
        mass: Scalar,
        key: PRNGKeyArray,
        number: int,
    ) -> Gaussian:
        """Draws at one time, each with the known mass as its exact integral.

        The mass enters twice. It is evidence for the latent; and the front and the
        profile of each draw are moved onto it (`at_mass`).
        """
        points = jnp.stack([jnp.full_like(x, t), x], axis=1)
        times, positions = self.family.scaled(points)
        mass = mass / self.family.length
        seen = self.posterior(contexts, times[0], mass)

        def one(z: Scalar, front: Scalar, w: Scalar) -> Gaussian:
            profile = self.family.profile(z, times[0])
            start = profile.position + front * profile.spread
            moved = at_mass(profile, start, w, mass)
            own = LEAST_SPREAD + _OWN * profile.spread * jnp.sqrt(moved.share)
            found = self._moments(profile, moved.position, moved.w, own, positions)
            return Gaussian.diagonal(*found)

        return jax.vmap(one)(*_strata(seen, key, number))

    def _evidence(self, z: Scalar, t: Scalar, mass: Scalar) -> Scalar:
        """Log density of the mass, with the errors of the front and of g."""
        profile = self.family.profile(z, t)
        middle = profile.mass(profile.position, jnp.zeros(()))
        by_error = profile.error_of_mass(jnp.clip(profile.position, 0, 1))
        by_front = jax.grad(profile.mass)(profile.position, jnp.zeros(()))
        by_front = by_front * LOGISTIC_STD * profile.spread
        variance = by_error**2 + by_front**2 + 1e-10
        return -0.5 * ((mass - middle) ** 2 / variance + jnp.log(variance))

    def _moments(
        self,
        profile: FrontProfile,
        position: Scalar,
        w: Scalar,
        own: Scalar,
        x: Float[Array, "*s"],
    ) -> tuple[Array, Array]:
        """Mean and std with the front at `position`, up to an error of scale `own`."""
        distance = position - x
        behind = jnp.maximum(distance, 0)
        value = profile.value(behind) + w * profile.common(behind)
        share = jax.nn.sigmoid(distance / own)
        spread = value * jnp.sqrt(share * (1 - share))
        alone = profile.own * profile.std(behind) ** 2
        rest = jnp.sqrt(jnp.maximum(alone, self.family.least_std**2))
        return share * value, jnp.hypot(spread, rest)


def _strata(
    seen: LatentPosterior, key: PRNGKeyArray, number: int
) -> tuple[Array, Array, Array]:
    """Stratified draws of the latent, of the front's error, and of the error of g."""
    share = (jnp.arange(number) + 0.5) / number
    front_key, error_key = jax.random.split(key)
    front = jax.random.permutation(front_key, jnp.log(share) - jnp.log1p(-share))
    error = jax.scipy.special.ndtri(share)
    return seen.quantile(share), front, jax.random.permutation(error_key, error)
