"""A learned family of functions: profiles that depend on a latent variable and time.

A function of the family is a value of the latent z. The network is trained together
with the z of every training function, which are parameters too. For a new function the
posterior of z is computed on a grid, by the likelihood of its observations; there is no
encoder.

Source: Bojanowski, Joulin, Lopez-Paz and Szlam, ICML 2018; Park, Florence, Straub,
Newcombe and Lovegrove, CVPR 2019 (latent variables as parameters).
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.models.front import FrontProfile, conditioned
from physcon.models.linear import Linear
from physcon.models.predictor import Observations

#: The smallest scale of the position of the front, in lengths of the domain.
LEAST_SPREAD = 2e-4
#: Lengths of the first and the last piece behind the front at the start of training.
_FIRST, _LAST = 0.004, 0.3


class Domain(NamedTuple):
    """The ends of the interval in x and the last time; scales of the coordinates."""

    lower: float
    upper: float
    time: float


class FrontFamily(eqx.Module):
    """`FrontProfile` as a function of a latent z and time.

    Args:
        domain: of the coordinates.
        size: width of the hidden layers.
        layers: number of them.
        pieces: number of linear pieces.
        falling: whether profiles fall to a front. Otherwise the pieces have equal
            lengths from the upper end of the domain on, and may rise and fall.
        least_std: lower bound of the standard deviation.
        own_errors: whether single points have errors of their own, whose share of the
            variance is learned. Only training through the law can learn it, since the
            density of single points does not depend on it.

    Attributes:
        own: log odds of `FrontProfile.own`, the same for all profiles. None: no share.
    """

    hidden: tuple[Linear, ...]
    output: Linear
    own: Scalar | None
    domain: Domain = eqx.field(static=True)
    falling: bool = eqx.field(static=True)
    least_std: float = eqx.field(static=True)

    def __init__(
        self,
        domain: Domain,
        size: int = 64,
        layers: int = 3,
        pieces: int = 12,
        *,
        falling: bool = True,
        least_std: float = 1e-3,
        own_errors: bool = False,
        key: PRNGKeyArray,
    ):
        keys = jax.random.split(key, layers + 1)
        widths = [3] + [size] * layers
        self.hidden = tuple(
            Linear(a, b, key=k, gain=1.5)
            for a, b, k in zip(widths[:-1], widths[1:], keys[1:], strict=True)
        )
        self.output = Linear(size, 4 + 3 * pieces, key=keys[0], gain=0.3)
        self.own = jnp.zeros(()) if own_errors else None
        self.domain = domain
        self.falling = falling
        self.least_std = least_std

    @property
    def length(self) -> float:
        """Of the domain, in the units of x."""
        return self.domain.upper - self.domain.lower

    def scaled(self, points: Float[Array, "n 2"]) -> tuple[Array, Array]:
        """Times in units of the last one, and positions in lengths of the domain."""
        x = (points[:, 1] - self.domain.lower) / self.length
        return points[:, 0] / self.domain.time, x

    def profile(self, z: Scalar, t: Scalar) -> FrontProfile:
        """The profile at a time in units of the last one."""
        h = jnp.stack([z, 2 * t - 1, 2 * jnp.sqrt(t) - 1])
        for layer in self.hidden:
            h = jax.nn.silu(layer(h))
        out = self.output(h)
        pieces = (out.size - 4) // 3
        widths, rises, errors = jnp.split(out[3:], (pieces, 2 * pieces))
        error = self.least_std + 0.1 * jax.nn.softplus(errors - 1)
        own = jnp.zeros_like(t) if self.own is None else jax.nn.sigmoid(self.own)
        if not self.falling:
            # Equal pieces: in a narrow one, which no observation meets, training
            # through the law would hide the error of the mass.
            one, zero = jnp.ones_like(t), jnp.zeros_like(t)
            even = jnp.full_like(widths, 1 / pieces)
            front = (one, LEAST_SPREAD * one, zero)
            return FrontProfile(*front, rises, even, error, own)
        # Each width may change by a factor of seven.
        stretched = jnp.exp(2 * jnp.tanh(widths))
        return FrontProfile(
            position=0.4 + out[0],
            spread=LEAST_SPREAD + 0.05 * jax.nn.softplus(out[1]),
            jump=0.5 * jax.nn.softplus(out[2]),
            rises=0.1 * jax.nn.softplus(rises),
            widths=jnp.geomspace(_FIRST, _LAST, pieces) * stretched,
            error=error,
            own=own,
        )

    def log_likelihood(
        self,
        z: Scalar,
        seen: Observations,
        times: int,
        mass: Float[Array, " times"] | None = None,
    ) -> Scalar:
        """Mean over the observations of the log density of each.

        Args:
            seen: observations on a tensor grid of points, row = it * nx + ix.
            times: number of times of the grid.
            mass: the known mass at each, in units of u times the domain's length. The
                profiles are then conditioned on it.
        """
        t, x = self.scaled(seen.points)
        t = t.reshape(times, -1)[:, 0]

        def at(t: Array, x: Array, u: Array, mass: Array | None) -> Array:
            profile = self.profile(z, t)
            if mass is not None:
                profile = conditioned(profile, mass, LEAST_SPREAD)
            return jnp.mean(profile.log_density(x, u, self.least_std))

        x = x.reshape(times, -1)
        u = seen.values.reshape(times, -1)
        return jnp.mean(jax.vmap(at)(t, x, u, mass))


class FittedFamily(eqx.Module):
    """A family, and the latents of its training functions divided by three, ``(n,)``.

    Divided, they are moved by Adam three times as fast as the weights.
    """

    family: FrontFamily
    latents: Float[Array, " n"]

    def loss(
        self,
        index: Array,
        seen: tuple[Observations, ...],
        times: tuple[int, ...],
        masses: tuple[Array | None, ...],
    ) -> Scalar:
        """Minus the mean log-likelihood of one training function, and a weak prior."""
        z = 3 * self.latents[index]
        found = [
            self.family.log_likelihood(z, *each)
            for each in zip(seen, times, masses, strict=True)
        ]
        return 5e-4 * z**2 - sum(found) / len(found)
