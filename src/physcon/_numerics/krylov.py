"""Conjugate gradients and residuals, the only implementations in the package."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from physcon._extremes import largest_of
from physcon._typing import Array, Bool, Float, Int

Apply = Callable[[Float[Array, "*y"]], Float[Array, "*y"]]
#: (x, y, z, ...) -> (x·y, x·z, ...)
Dots = Callable[..., tuple[Array, ...]]


class Iterated(NamedTuple):
    """Result of `conjugate_gradients`."""

    x: Float[Array, "*y"]  # the iterate with the smallest residual
    last: Float[Array, "*y"]  # the last iterate; a descent direction in any case
    steps: Int[Array, ""]
    reached: Bool[Array, ""]  # whether |A x - b| <= rtol |b|, by the recursion
    convex: Bool[Array, ""]  # False: a direction p with p·A p <= 0 ended the iteration


class _State(NamedTuple):
    x: Array
    r: Array
    p: Array
    rz: Array
    best: Array
    least: Array
    step: Array
    since: Array  # steps since `least` was found
    going: Array


def inner_products(x: Array, *others: Array) -> tuple[Array, ...]:
    """x·y for each of the others."""
    return tuple(jnp.sum(x * y) for y in others)


def conjugate_gradients(
    apply: Apply,
    b: Float[Array, "*y"],
    *,
    rtol: float,
    max_steps: int,
    size: Array | None = None,
    patience: int | None = None,
    precondition: Apply | None = None,
    dots: Dots = inner_products,
) -> Iterated:
    """Solve A x = b for a symmetric positive (semi-)definite A, starting at x = 0.

    The iteration stops at |r| <= rtol |b|, after `max_steps`, or at a direction of
    non-positive curvature, which a singular or an indefinite A has. The x of the
    smallest |r| is returned, since on a singular A the residual grows again after its
    minimum. Where the first direction, b, has non-positive curvature, `last` is b.

    Args:
        size: |b|² to which rtol refers, where b is the residual of an earlier solve.
        patience: stop after this number of steps without progress; None: never.
        precondition: approximates A⁻¹; None is the identity.
        dots: inner products; pass one that sums over devices where b is divided.

    Source: Golub and Van Loan (2013), algorithm 11.5.1; Nocedal and Wright (2006),
    algorithm 7.2, for the stop at negative curvature.
    """
    approximate = precondition or (lambda r: r)

    def advance(s: _State) -> _State:
        q = apply(s.p)
        (pq,) = dots(s.p, q)
        convex = pq > 0
        halt = jnp.where(s.step == 0, 1.0, 0.0).astype(b.dtype)
        alpha = jnp.where(convex, s.rz / jnp.where(convex, pq, 1), halt)
        x = s.x + alpha * s.p
        r = s.r - alpha * q
        z = approximate(r)
        rz, size = dots(r, z, r)
        beta = rz / jnp.where(s.rz == 0, 1, s.rz)
        better = convex & (size < s.least)
        least = jnp.where(better, size, s.least)
        best = jnp.where(better, x, s.best)
        since = jnp.where(better, 0, s.since + 1)
        p = z + beta * s.p
        return _State(x, r, p, rz, best, least, s.step + 1, since, convex)

    def running(s: _State) -> Array:
        patient = True if patience is None else s.since < patience
        return s.going & (s.least > target) & (s.step < max_steps) & patient

    z = approximate(b)
    rz, first = dots(b, z, b)
    target = rtol**2 * (first if size is None else size)
    zero = jnp.zeros_like(b)
    count = jnp.zeros((), jnp.int32)
    start = _State(zero, b, z, rz, zero, first, count, count, jnp.array(True))
    end = jax.lax.while_loop(running, advance, start)
    return Iterated(end.best, end.x, end.step, end.least <= target, end.going)


class _Residuals(NamedTuple):
    x: Array
    r: Array
    directions: Array
    images: Array
    least: Array
    step: Array
    since: Array


#: Number of earlier directions that `conjugate_residuals` keeps.
_KEPT = 12


def _orthogonal(s: _Residuals, q: Array) -> tuple[Array, Array]:
    """The next direction, and its image q of length 1 orthogonal to the earlier ones.

    Both are 0 where the earlier directions reach the image.
    """
    share = jnp.sum(s.images * q[None], axis=tuple(range(1, q.ndim + 1)))
    q = q - jnp.tensordot(share, s.images, 1, precision="highest")
    z = s.r - jnp.tensordot(share, s.directions, 1, precision="highest")
    length = jnp.sqrt(jnp.sum(q * q))
    inverse = jnp.where(length > 0, 1 / jnp.where(length > 0, length, 1), 0)
    return z * inverse, q * inverse


def conjugate_residuals(
    apply: Apply,
    b: Float[Array, "*y"],
    *,
    rtol: float,
    max_steps: int,
    precondition: Apply,
    patience: int = 5,
) -> tuple[Float[Array, "*y"], Float[Array, ""]]:
    """Solve A x = b for a regular A, not symmetric, that `precondition` nearly inverts.

    Each step needs one application of A and of the preconditioner P, and minimises
    P (A x - b), an estimate of the error of x, over the last few directions: Orthomin,
    the truncated generalised method of conjugate residuals.

    Args:
        precondition: approximates A⁻¹.
        patience: stop after this number of steps that hardly reduce the residual.

    Returns:
        x, and |P (A x - b)| / |P b| by the recursion.

    Source: Eisenstat, Elman and Schultz, SIAM J. Numer. Anal. 20 (1983) 345.
    """
    b = precondition(b)
    size = largest_of(jnp.abs(b))
    unit = jnp.where(size > 0, size, 1)
    b = b / unit

    def advance(s: _Residuals) -> _Residuals:
        z, q = _orthogonal(s, precondition(apply(s.r)))
        along = jnp.sum(q * s.r)
        r = s.r - along * q
        left = jnp.sum(r * r)
        since = jnp.where(left < 0.8 * s.least, 0, s.since + 1)
        place = s.step % _KEPT
        return _Residuals(
            x=s.x + along * z,
            r=r,
            directions=s.directions.at[place].set(z),
            images=s.images.at[place].set(q),
            least=jnp.minimum(left, s.least),
            step=s.step + 1,
            since=since,
        )

    def running(s: _Residuals) -> Array:
        missing = s.least > rtol**2 * first
        return missing & (s.step < max_steps) & (s.since < patience)

    nothing = jnp.zeros((_KEPT, *b.shape), b.dtype)
    first = jnp.sum(b * b)
    count = jnp.zeros((), jnp.int32)
    start = _Residuals(jnp.zeros_like(b), b, nothing, nothing, first, count, count)
    end = jax.lax.while_loop(running, advance, start)
    share = end.least / jnp.where(first > 0, first, 1)
    return end.x * unit, jnp.sqrt(share)
