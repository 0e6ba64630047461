"""Sequential quadratic programming for a nonlinear law, and its implicit derivative.

Each step is Newton's in the tangent plane, with a step back to the surface.

Source: Nocedal and Wright (2006), ch. 18 (steps), alg. 7.2 (conjugate gradients with a
stop at negative curvature).
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from physcon._numerics.float64 import in_float64
from physcon._numerics.products import gram
from physcon._typing import Array, Bool, Int, Scalar
from physcon.conditioning._nonlinear_law import (
    NonlinearConstraint,
    Static,
    joined,
    latent,
)
from physcon.conditioning.gaussian import Gaussian
from physcon.conditioning.tangent import Frame, conjugate_gradients, frame_at


class _State(NamedTuple):
    z: Array
    count: Int[Array, ""]
    done: Bool[Array, ""]
    broken: Bool[Array, ""]  # a step is not finite


def _minimised(
    prior: Gaussian, constraint: NonlinearConstraint, max_steps: int
) -> tuple[Array, Array, Array]:
    """Minimiser, its z, and whether it is one."""
    g = latent(prior, constraint)
    size = 1e-13 * jnp.abs(constraint.value)

    def running(s: _State) -> Bool[Array, ""]:
        return ~(s.done | s.broken) & (s.count < max_steps)

    def step(s: _State) -> _State:
        return _step(g, size, s)

    zero = jnp.zeros(prior.root.in_shape, prior.mean.dtype)
    no = jnp.array(False)
    start = _State(zero, jnp.int32(0), no, no)
    z, _, converged, broken = jax.lax.while_loop(running, step, start)
    z = jnp.where(broken, jnp.nan, z)
    return prior.mean + prior.root.mv(z), z, converged


def _step(g: Callable[[Array], Array], size: Array, s: _State) -> _State:
    """One step, unless the field is a solution or the step is not finite."""
    z = s.z
    f = g(z)
    frame = frame_at(g, z, z)
    step = _direction(frame, f, z)
    norms = jnp.sqrt(jnp.diag(gram(frame.rows)))
    scale = 1 + jnp.sqrt(jnp.sum(z**2))
    t = _step_length(g, frame, z, step, (f, norms, scale))
    met = jnp.all(jnp.abs(f) <= size + 1e-12 * norms * scale)
    stationary = jnp.sqrt(jnp.sum(frame.tangential(z) ** 2)) <= 1e-9 * scale
    done = met & stationary
    broken = ~jnp.all(jnp.isfinite(step))
    # At the end only the distance to the surface is left to correct.
    moved = jnp.where(done, z - frame.normal(f), z + t * step)
    z = jnp.where(broken, z, moved)
    return _State(z, s.count + 1, done, broken)


def _direction(frame: Frame, f: Array, z: Array) -> Array:
    """The step back to the surface, plus Newton's step in the tangent plane."""
    plane = frame.tangential
    normal = -frame.normal(f)
    force = plane(frame.hessian(normal) - z)
    along = conjugate_gradients(lambda x: plane(x - frame.hessian(x)), force, 100)
    return normal + along


def _step_length(
    g: Callable[[Array], Array],
    frame: Frame,
    z: Array,
    step: Array,
    sizes: tuple[Array, Array, Scalar],
) -> Scalar:
    """1, halved until the step lowers the merit function or nears the surface.

    Args:
        sizes: g(z), the norms of its gradients, and 1 + |z|.
    """
    f, norms, scale = sizes
    penalty = 2 * jnp.abs(frame.multiplier) + 1 / norms

    def merit(z: Array) -> Array:
        return 0.5 * jnp.sum(z**2) + jnp.sum(penalty * jnp.abs(g(z)))

    def refused(t: Array) -> Array:
        new = g(z + t * step)
        nearer = jnp.max(jnp.abs(new) / norms) < 0.5 * jnp.max(jnp.abs(f) / norms)
        length = jnp.sqrt(jnp.sum(step**2))
        small = ~(t * length >= 1e-3 * scale)  # NaN ends the search too
        return ~((merit(z + t * step) < merit(z)) | nearer | small)

    return jax.lax.while_loop(refused, lambda t: 0.5 * t, jnp.ones((), z.dtype))


@partial(jax.custom_jvp, nondiff_argnums=(0, 1))
def solve(
    static: Static, max_steps: int, prior: Gaussian, arrays: NonlinearConstraint
) -> tuple[Array, Array, Array]:
    """`_minimised` with the derivative of the stationarity conditions.

    K dz - Wᵀ dλ = ∂(Wᵀ λ), W dz = -∂g, where ∂ acts on prior and law at fixed z and λ.
    """

    def sqp(prior: Gaussian, arrays: NonlinearConstraint) -> tuple[Array, Array, Array]:
        return _minimised(prior, joined(arrays, static), max_steps)

    return in_float64(sqp)(prior, arrays)


@solve.defjvp
def _(
    static: Static, max_steps: int, primals: tuple, tangents: tuple
) -> tuple[Any, Any]:
    mean, z, converged = solve(static, max_steps, *primals)
    frame = frame_at(latent(primals[0], joined(primals[1], static)), z, z)
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
    still = np.zeros(converged.shape, jax.dtypes.float0)
    return (mean, z, converged), (d_mean, dz, still)
