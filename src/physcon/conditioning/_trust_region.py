"""One step of sequential quadratic programming within a trust region.

The step is a sum of two: back towards the surface, in the span of the gradients, and
Newton's in the tangent plane. The merit of a point z is ½ |z|² + ν |g(z)|, with g in
units of its gradients. A step that lowers the merit by less than its quadratic model
promises is refused, and the region of trust shrinks.

Source: Byrd and Omojokun, as in Nocedal and Wright (2006), alg. 18.4; sec. 18.3 (second
order correction), eq. 18.36 (penalty), sec. 4.1 (dogleg).
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._numerics.products import combine, inner
from physcon._numerics.safe import divide, sqrt
from physcon._typing import Array, Bool, Float, Scalar
from physcon.conditioning.tangent import Frame, conjugate_gradients, frame_at


class Trust(NamedTuple):
    """How far the model is trusted, and what a distance from the surface costs."""

    radius: Scalar
    penalty: Scalar  # ν; falls slowly


class Surface(NamedTuple):
    """g(z) = 0, where g is a difference of terms of the size of b."""

    g: Callable[[Array], Array]
    value: Float[Array, " m"]  # b
    least: float  # the share of a gradient that is rounding

    def at(self, z: Array) -> "Model":
        """The surface around a point."""
        frame = frame_at(self.g, z, z, self.least)
        axes = tuple(range(1, frame.rows.ndim))
        norms = jnp.sqrt(jnp.sum(frame.rows**2, axis=axes))
        implied = ~jnp.any(frame.basis != 0, axis=axes)
        return Model(self, z, self.g(z), frame, norms, implied)


class Model(NamedTuple):
    """The surface around a point."""

    surface: Surface
    z: Array
    f: Float[Array, " m"]  # g(z)
    frame: Frame
    norms: Float[Array, " m"]  # of the gradients
    implied: Bool[Array, " m"]  # equations that others imply; they weigh nothing

    @property
    def unit(self) -> Float[Array, " m"]:
        """What g is measured in."""
        return jnp.where(self.implied, jnp.inf, self.norms)


def first_trust(model: Model) -> Trust:
    """Twice the first step back to the surface is trusted, unless it is very long."""
    radius = 1 + 2 * jnp.minimum(_size(model.frame.normal(model.f)), 100)
    return Trust(radius, jnp.zeros_like(radius))


def advance(model: Model, trust: Trust) -> tuple[Array, Trust, Bool[Array, ""]]:
    """The next point, the next region, and whether a step was accepted."""
    (g, value, _), z, f, frame, norms, _ = model
    unit = model.unit
    step = _step(model, trust.radius)
    gain = jnp.sum(z * step) + 0.5 * jnp.sum(step * (step - frame.hessian(step)))
    nearer = _distance(f, unit) - _distance(f + inner(frame.rows, step), unit)
    # Exact above the size of the multipliers; a penalty that once was large and stays
    # so would bind all later steps to the surface.
    needed = divide(gain, 0.7 * jnp.maximum(nearer, 0))
    needed = jnp.maximum(needed, 2 * _size(frame.multiplier * norms))
    penalty = jnp.maximum(0.1 * trust.penalty, needed)

    def merit(z: Array) -> Scalar:
        return 0.5 * jnp.sum(z**2) + penalty * _distance(g(z), unit)

    now = merit(z)
    spread = 1 + _size(z) + _distance(jnp.abs(value), unit)
    rounding = 1e-14 * jnp.abs(now) + 1e-15 * penalty * spread
    promised = jnp.maximum(penalty * nearer - gain, 0) + rounding
    plain = z + step

    def back(_: Array, z: Array) -> Array:
        return z - frame.normal(g(z))

    # A surface that bends away from its tangent plane refuses good long steps.
    bent = jax.lax.fori_loop(0, 3, back, plain)
    ratios = [(now - merit(new) + rounding) / promised for new in (plain, bent)]
    first, second = (jnp.where(jnp.isfinite(r), r, -jnp.inf) for r in ratios)
    ratio = jnp.maximum(first, second)
    moved = jnp.where(second > first, bent, plain)
    accepted = ratio > 1e-4
    length = _size(step)
    radius = jnp.where(ratio < 0.1, 0.25 * length, trust.radius)
    radius = jnp.where(ratio > 0.5, jnp.maximum(trust.radius, 4 * length), radius)
    z = jnp.where(accepted, moved, z)
    return z, Trust(radius, penalty), accepted


def _step(model: Model, radius: Scalar) -> Array:
    """The step back to the surface, plus Newton's step in the tangent plane."""
    frame = model.frame
    plane = frame.tangential
    normal = _dogleg(model, 0.8 * radius)
    force = plane(frame.hessian(normal) - model.z)
    along = conjugate_gradients(lambda x: plane(x - frame.hessian(x)), force, 100)
    room = sqrt(radius**2 - jnp.sum(normal**2))
    return normal + along * jnp.minimum(1, divide(room, _size(along)))


def _dogleg(model: Model, radius: Scalar) -> Array:
    """Towards the surface, first along the gradient of |g|², then to Newton's point."""
    frame, unit = model.frame, model.unit
    newton = -frame.normal(model.f)
    descent = -combine(divide(divide(model.f, unit), unit), frame.rows)
    bent = divide(inner(frame.rows, descent), unit)
    cauchy = divide(jnp.sum(descent**2), jnp.sum(bent**2)) * descent
    near = _size(cauchy)
    rest = newton - cauchy
    # |cauchy + t rest| = radius
    a = jnp.sum(rest**2)
    b = jnp.sum(cauchy * rest)
    c = jnp.minimum(near**2 - radius**2, 0)
    t = jnp.clip(divide(-c, b + sqrt(b**2 - a * c)), 0, 1)
    short = cauchy * jnp.minimum(1, divide(radius, near))
    broken = jnp.where(near < radius, cauchy + t * rest, short)
    return jnp.where(_size(newton) <= radius, newton, broken)


def _distance(f: Array, unit: Array) -> Scalar:
    """|f| in units of the gradients; NaN stays NaN."""
    return _size(divide(f, unit))


def _size(x: Array) -> Scalar:
    return jnp.sqrt(jnp.sum(x**2))
