"""Sequential quadratic programming for a nonlinear law, and its implicit derivative.

`_trust_region` makes the steps; here is the loop around them, with its verdict.
"""

from functools import partial
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._derivative_rules import WithDerivative
from physcon._numerics import krylov
from physcon._numerics.float64 import entirely_in_float64, in_float64
from physcon._typing import Array, Bool, Int
from physcon.conditioning._nonlinear_law import (
    NonlinearConstraint,
    Static,
    joined,
    latent,
)
from physcon.conditioning._trust_region import Surface, Trust, advance, first_trust
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.tangent import (
    conjugate_gradients,
    frame_at,
    irregular,
    rounding_of,
)


class _State(NamedTuple):
    z: Array
    trust: Trust
    count: Int[Array, ""]  # accepted steps
    tries: Int[Array, ""]
    done: Bool[Array, ""]
    broken: Bool[Array, ""]  # a step is not finite, or has nowhere to go


def _minimised(
    prior: Gaussian, constraint: NonlinearConstraint, max_steps: int, dtype: Any
) -> tuple[Array, Array, Array]:
    """Minimiser, its z, and whether it is one.

    Args:
        dtype: the caller's, whose rounding decides which equations are redundant.
    """
    g = latent(prior, constraint)
    surface = Surface(g, constraint.value, rounding_of(dtype))
    most = 4 * max_steps

    def running(s: _State) -> Bool[Array, ""]:
        going = ~(s.done | s.broken) & (s.trust.radius > _SMALLEST)
        return going & (s.count < max_steps) & (s.tries < most)

    def step(s: _State) -> _State:
        return _step(surface, s)

    zero = jnp.zeros(prior.root.in_shape, prior.mean.dtype)
    no = jnp.array(False)
    none = jnp.int32(0)
    start = _State(zero, first_trust(surface.at(zero)), none, none, no, no)
    s = jax.lax.while_loop(running, step, start)
    z = jnp.where(s.broken, jnp.nan, s.z)
    converged = s.done & _convex(surface, z)
    return prior.mean + prior.root.mv(z), z, converged


def _step(surface: Surface, s: _State) -> _State:
    """One step, unless the field is a solution or there is no way to go."""
    z = s.z
    model = surface.at(z)
    _, _, f, frame, norms, implied = model
    scale = 1 + jnp.sqrt(jnp.sum(z**2))
    size = jnp.abs(surface.value)
    # An equation that others imply is met by them, up to the caller's rounding.
    rounding = jnp.where(implied, surface.least, 1e-13)
    met = jnp.all(jnp.abs(f) <= rounding * (size + 10 * norms * scale))
    # Large multipliers, of nearly dependent laws, magnify the rounding of g.
    pull = jnp.sum(jnp.abs(frame.multiplier) * norms)
    off = jnp.sqrt(jnp.sum(frame.tangential(z) ** 2))
    done = met & (off <= 1e-9 * scale + 1e-15 * pull)
    finite = jnp.all(jnp.isfinite(frame.rows)) & jnp.all(jnp.isfinite(f))
    stuck = jnp.any((norms == 0) & (jnp.abs(f) > 1e-13 * size))
    broken = ~finite | stuck
    moved, trust, accepted = advance(model, s.trust)
    # At the end only the distance to the surface is left to correct.
    z = jnp.where(broken, z, jnp.where(done, z - frame.normal(f), moved))
    count = s.count + accepted.astype(jnp.int32)
    return _State(z, trust, count, s.tries + 1, done, broken)


def _convex(surface: Surface, z: Array) -> Bool[Array, ""]:
    """Whether a stationary point is a minimum along the surface, and not a saddle.

    Conjugate gradients from an irregular direction meet any negative curvature.
    """
    frame = surface.at(z).frame
    plane = frame.tangential
    found = krylov.conjugate_gradients(
        lambda x: plane((1 + 1e-8) * x - frame.hessian(x)),
        plane(irregular(z)),
        rtol=1e-6,
        max_steps=50,
    )
    return found.convex


@partial(WithDerivative, static=(0, 1))
def solve(
    static: Static, max_steps: int, prior: Gaussian, arrays: NonlinearConstraint
) -> tuple[Array, Array, Array]:
    """`_minimised` with the derivative of the stationarity conditions.

    K dz - Wᵀ dλ = ∂(Wᵀ λ), W dz = -∂g, where ∂ acts on prior and law at fixed z and λ.
    """

    dtype = prior.mean.dtype

    def sqp(prior: Gaussian, arrays: NonlinearConstraint) -> tuple[Array, Array, Array]:
        return _minimised(prior, joined(arrays, static), max_steps, dtype)

    return in_float64(sqp)(prior, arrays)


@solve.defjvp
def _(
    static: Static, max_steps: int, primals: tuple, tangents: tuple
) -> tuple[Any, Any]:
    found = _, z, converged = solve(static, max_steps, *primals)
    moving, rest = eqx.partition(tangents, eqx.is_inexact_array)

    def moved(primals: tuple, moving: tuple, z: Array) -> tuple[Array, Array]:
        return _moved(static, primals, eqx.combine(moving, rest), z)

    # Second derivatives of the law can leave the range of float32.
    d_mean, dz = entirely_in_float64(moved)(primals, moving, z)
    return found, (d_mean, dz, np.zeros(converged.shape, jax.dtypes.float0))


def _moved(
    static: Static, primals: tuple, tangents: tuple, z: Array
) -> tuple[Array, Array]:
    """The tangents of the field and of its z."""
    g = latent(primals[0], joined(primals[1], static))
    frame = frame_at(g, z, z, rounding_of(z.dtype))
    plane = frame.tangential

    def pull(prior: Gaussian, arrays: NonlinearConstraint) -> tuple[Array, Array]:
        g = latent(prior, joined(arrays, static))
        return jax.grad(lambda z: jnp.sum(frame.multiplier * g(z)))(z), g(z)

    def apply(x: Array) -> Array:
        flat = plane(x)
        return x - plane(frame.hessian(flat))

    with jax.default_matmul_precision("highest"):
        _, (bent, missed) = jax.jvp(pull, primals, tangents)
        normal = -frame.normal(missed)
        force = plane(bent + frame.hessian(normal))
        along = jax.lax.custom_linear_solve(
            apply,
            force,
            lambda mv, r: conjugate_gradients(mv, r, 200),
            symmetric=True,
        )
        dz = normal + plane(along)
        moved = lambda prior, z: prior.mean + prior.root.mv(z)  # noqa: E731
        _, d_mean = jax.jvp(moved, (primals[0], z), (tangents[0], dz))
    return d_mean, dz


#: The search ends where only smaller steps would be trusted.
_SMALLEST = 1e-12
