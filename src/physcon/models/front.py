"""Profiles with a sharp front: a jump and a rise behind it, at an uncertain position.

A profile that falls along x and ends in a front is a nondecreasing function g of the
distance behind the front, d = s - x, and zero beyond. Here g is piecewise linear with a
jump at the front. The position s has a logistic error. Of the variance e² of g, a share
q belongs to errors of single points, and the rest to one error common to all points:

    u(x) = g(s - x) + e(s - x) (√(1 - q) w + √q v(x))  for x < s, else 0,
    s ~ Logistic, w ~ N(0, 1), v(x) ~ N(0, 1) independent at all points.

The mass says something about s and w, and nothing about v.

A Gaussian at every point, in contrast, blurs an uncertain front. Positions are in units
of the domain's length from its lower end.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._typing import Array, Float, Scalar

#: The standard deviation of the standard logistic distribution, π / √3.
LOGISTIC_STD = 1.8137994


class FrontProfile(eqx.Module):
    """The distribution of one profile along x.

    Attributes:
        position, spread: median and scale of the logistic distribution of the front.
        jump: value of g at the front.
        rises: increments of g over the pieces behind the front, ``(k,)``.
        widths: lengths of the pieces, positive, ``(k,)``.
        error: standard deviation e of g at the ends of the pieces, ``(k + 1,)``.
        own: share q of its variance that belongs to errors of single points.
    """

    position: Scalar
    spread: Scalar
    jump: Scalar
    rises: Float[Array, " k"]
    widths: Float[Array, " k"]
    error: Float[Array, " k+1"]
    own: Scalar

    def value(self, distance: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """g at a distance behind the front; its value at the front for others."""
        return self.jump + self._shares(distance) @ self.rises

    def std(self, distance: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """The standard deviation e of g, linear on every piece."""
        return self.error[0] + self._shares(distance) @ jnp.diff(self.error)

    def common(self, distance: Float[Array, "*s"]) -> Float[Array, "*s"]:
        """What w = 1 adds to g, the error that is common to all points."""
        return jnp.sqrt(1 - self.own) * self.std(distance)

    def log_density(
        self, x: Float[Array, "*s"], u: Float[Array, "*s"], least_std: float
    ) -> Float[Array, "*s"]:
        """log p(u) at single points: a mixture over whether the front is beyond x."""
        distance = self.position - x
        behind = jnp.maximum(distance, 0)
        inside = _log_normal(u - self.value(behind), self.std(behind))
        outside = _log_normal(u, jnp.full_like(u, least_std))
        odds = distance / self.spread
        return jnp.logaddexp(
            jax.nn.log_sigmoid(odds) + inside, jax.nn.log_sigmoid(-odds) + outside
        )

    def mass(self, position: Scalar, w: Scalar) -> Scalar:
        """The exact integral over the domain, for given position and error of g."""
        own = self._over_domain(position, self.jump, self.rises)
        return own + w * self.error_of_mass(position)

    def error_of_mass(self, position: Scalar) -> Scalar:
        """What w = 1 adds to the mass."""
        whole = self._over_domain(position, self.error[0], jnp.diff(self.error))
        return jnp.sqrt(1 - self.own) * whole

    def _over_domain(self, position: Scalar, start: Array, rises: Array) -> Scalar:
        whole = self._integral(jnp.stack([position, position - 1]), start, rises)
        return whole[0] - whole[1]

    def _along(self, distance: Array) -> tuple[Array, Array]:
        """Starts and widths of the pieces, along one more axis than `distance`."""
        shape = (1,) * distance.ndim + self.widths.shape
        starts = jnp.cumsum(self.widths) - self.widths
        return starts.reshape(shape), self.widths.reshape(shape)

    def _shares(self, distance: Float[Array, "*s"]) -> Float[Array, "*s k"]:
        """The part of every piece that lies before a distance."""
        starts, widths = self._along(distance)
        return jnp.clip((distance[..., None] - starts) / widths, 0, 1)

    def _integral(self, distance: Array, start: Array, rises: Array) -> Array:
        """The integral from the front of a value there and increments behind it."""
        behind = jnp.maximum(distance, 0)
        starts, widths = self._along(distance)
        beyond = jnp.maximum(behind[..., None] - starts, 0)
        within = jnp.minimum(beyond, widths)
        # Half a square on the piece, then the whole rise.
        ramps = 0.5 * within**2 / widths + (beyond - within)
        return start * behind + ramps @ rises


class AtMass(NamedTuple):
    """A position of the front and an error of g that have the known mass.

    Attributes:
        position, w: see `FrontProfile`.
        share: part of the variance of the mass that comes from the error of g. It is
            the part of the position's variance that remains.
    """

    position: Scalar
    w: Scalar
    share: Scalar


def at_mass(profile: FrontProfile, position: Scalar, w: Scalar, mass: Scalar) -> AtMass:
    """Move a draw onto the law, along the gradient of the mass in units of the spread.

    The front moves, or the profile behind it, or both, in proportion to their share of
    the variance. The mass grows along this direction, so Newton's method inside of a
    bracket finds the law; the last step gives it derivatives.

    Args:
        position, w: of the draw.
        mass: the integral over the domain, in units of its length.
    """
    std = LOGISTIC_STD * profile.spread
    behind = jnp.maximum(profile.position, 0)
    by_front = std * jnp.maximum(profile.value(behind), 1e-6)
    by_error = profile.error_of_mass(jnp.clip(profile.position, 0, 1))
    total = by_front**2 + by_error**2
    front = std * by_front / total
    error = by_error / total

    line = (profile, position, w, front, error, mass)
    # The search itself has no derivatives.
    step = _meeting(jax.lax.stop_gradient(line))
    slope = jax.grad(_misfit)(step, jax.lax.stop_gradient(line))
    step = step - _misfit(step, line) / jnp.maximum(slope, 0.1)
    share = by_error**2 / total
    return AtMass(position + front * step, w + error * step, share)


def _misfit(step: Scalar, line: tuple) -> Scalar:
    """By how much the mass at a step along the line is too large."""
    profile, position, w, front, error, mass = line
    return profile.mass(position + front * step, w + error * step) - mass


def _meeting(line: tuple) -> Scalar:
    """The step along the line to the law, by Newton's method inside of a bracket."""
    _, position, _, front, _, _ = line

    def closer(_: Array, state: tuple[Array, Array, Array]) -> tuple[Array, ...]:
        low, step, high = state
        error, slope = jax.value_and_grad(_misfit)(step, line)
        low = jnp.where(error > 0, low, step)
        high = jnp.where(error > 0, step, high)
        new = step - error / jnp.maximum(slope, 0.1)
        inside = (new >= low) & (new <= high)  # an end is reached by rounding
        return low, jnp.where(inside, new, 0.5 * (low + high)), high

    low = -(position + 0.5) / front
    high = (1.5 - position) / front
    start = jnp.clip(jnp.zeros_like(position), low, high)
    return jax.lax.fori_loop(0, 12, closer, (low, start, high))[1]


def conditioned(
    profile: FrontProfile, mass: Scalar, least_spread: float
) -> FrontProfile:
    """The profile given its mass: a moved front, another g, and smaller spreads.

    The mass determines only the common part of the error of g. The remaining errors of
    front and g are correlated; their correlation is dropped.
    """
    moved = at_mass(profile, profile.position, jnp.zeros(()), mass)
    shift = moved.w * jnp.sqrt(1 - profile.own) * profile.error
    # The position's error that remains, and the part of the error of g.
    spread = least_spread + profile.spread * jnp.sqrt(moved.share + 1e-12)
    kept = profile.own + (1 - profile.own) * (1 - moved.share + 1e-6)
    return FrontProfile(
        moved.position,
        spread,
        profile.jump + shift[0],
        profile.rises + jnp.diff(shift),
        profile.widths,
        profile.error * jnp.sqrt(kept) + 1e-4,
        profile.own / kept,
    )


def _log_normal(error: Array, std: Array) -> Array:
    return -0.5 * (error / std) ** 2 - jnp.log(std) - 0.9189385
