"""Functions that stay finite, with their derivatives, where the textbook form fails.

`jnp.where(x > 0, jnp.sqrt(x), 0)` has a NaN derivative at zero, because both branches
are differentiated. Each function here replaces the argument before it computes.
"""

import jax
import jax.numpy as jnp

from physcon._derivative_rules import WithDerivative
from physcon._numerics.on_tpu import in_float32_on_tpu
from physcon._typing import Array, ArrayLike, Float


def sqrt(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """√x for x > 0, and 0 elsewhere; the derivative is zero where x <= 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def log(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """log x for x > 0, and 0 elsewhere; the derivative is zero where x <= 0."""
    return jnp.log(jnp.where(x > 0, x, 1))


def power(x: Float[Array, "*s"], exponent: Array | float) -> Float[Array, "*s"]:
    """x to a real exponent for x > 0, and 0 elsewhere; derivatives are zero there."""
    positive = x > 0
    return jnp.where(positive, jnp.where(positive, x, 1) ** exponent, 0)


def divide(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """a / b, and 0 where b is zero; derivatives are zero there."""
    nonzero = b != 0
    return jnp.where(nonzero, quotient(a, jnp.where(nonzero, b, 1)), 0)


def quotient(a: Float[Array, "..."], b: Float[Array, "..."]) -> Float[Array, "..."]:
    """a / b whose derivative never squares b, which may be 1e-30 or 1e30.

    JAX differentiates a / b by b with b⁻², which is out of the range of float32 there.
    In float64 it is plain division. Faster than `ratio` in a loop over cells, but for
    compilers that leave the order of products as it is.
    """
    a, b = jnp.asarray(a), jnp.asarray(b)
    single = jnp.result_type(a, b) == jnp.float32
    return _quotient(a, b) if single else a / b


@WithDerivative
def _quotient(a: Array, b: Array) -> Array:
    return a / b


@_quotient.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """d(a / b) = (da - (a / b) db) / b."""
    value = _quotient(*primals)
    da, db = tangents
    return value, (da - value * db) * (1 / primals[1])


def over(
    a: Float[Array, "..."], b: Float[Array, "..."], inverse: Float[Array, "..."]
) -> Float[Array, "..."]:
    """a / b by one product with `inverse`, which is 1 / b, for several a.

    In float32 the derivative is that of `quotient`, which never squares b.
    """
    return _over(a, b, inverse) if a.dtype == jnp.float32 else a * inverse


@WithDerivative
def _over(a: Array, b: Array, inverse: Array) -> Array:
    return a * inverse


@_over.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """d(a / b) = (da - (a / b) db) / b; that of 1 / b is part of it."""
    value = _over(*primals)
    da, db, _ = tangents
    return value, (da - value * db) * primals[2]


@WithDerivative
def reciprocal(b: Float[Array, "..."]) -> Float[Array, "..."]:
    """1 / b whose derivative neither squares b nor divides once more."""
    return 1 / b


@reciprocal.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """d(1 / b) = -(1 / b) (1 / b) db, from the right."""
    value = reciprocal(*primals)
    return value, -value * (value * tangents[0])


def smaller(a: Array, b: ArrayLike) -> Array:
    """The minimum, NaN where either is NaN; at a tie the derivative is the one of b.

    `jnp.minimum` shares the derivative between both at a tie, and divides in each
    entry to do so.
    """
    return jnp.where((a < b) | (a != a), a, b)


def larger(a: Array, b: ArrayLike) -> Array:
    """The maximum, NaN where either is NaN; at a tie the derivative is the one of b."""
    return jnp.where((a > b) | (a != a), a, b)


@WithDerivative
def ratio(a: Float[Array, "*s"], b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """`divide` whose derivative never squares b, which may be 1e-30 or 1e30.

    JAX differentiates a / b by b with b⁻², which is out of the range of float32 there,
    and XLA merges (a / b) / b into a / b². Both arrays have the same shape.
    """
    return jnp.where(b != 0, a * _inverse(b), 0)


@ratio.defjvp
def _(primals: tuple, tangents: tuple) -> tuple[Array, Array]:
    """d(a / b) = (da - (a / b) db) / b."""
    _, b = primals
    da, db = tangents
    value = ratio(*primals)
    return value, jnp.where(b != 0, (da - value * db) * _inverse(b), 0)


def _inverse(b: Float[Array, "*s"]) -> Float[Array, "*s"]:
    return jax.lax.optimization_barrier(1 / jnp.where(b != 0, b, 1))


def power_of_two(size: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The power of two next to |size|, or 1 where that is zero or not finite.

    Dividing by it changes no bit of a mantissa, so that a computation on scaled numbers
    is the same in every unit. It is constant in derivatives. The result and its
    reciprocal are normal numbers.
    """
    size = jnp.abs(jax.lax.stop_gradient(size))
    usable = (size > 0) & jnp.isfinite(size)
    info = jnp.finfo(size.dtype)
    largest = 2.0 ** (-int(info.minexp) - 2)
    size = jnp.clip(jnp.where(usable, size, 1), 1 / largest, largest)
    nearest = _without_mantissa(size)
    return jnp.where(nearest > size, 0.5 * nearest, nearest)


@jax.jit  # one program for all calls outside of jit
def _without_mantissa(size: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """Rounded to a power of two, of a normal number.

    Not by `frexp`, which JAX 0.12 expands outside of a local float64 context. A TPU,
    whose float64 has the exponents of float32, cannot reduce the precision of float64.
    """

    def rounded(size: Array) -> Array:
        return jax.lax.reduce_precision(size, int(jnp.finfo(size.dtype).nexp), 0)

    return in_float32_on_tpu(rounded, size)


def over_power_of_two(size: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """One over a power of two next to size >= 0 in float32, from its exponent alone.

    The product of both lies in [1, 2) where size is a normal number. Two integer
    operations replace a division, which is what limits a loop over faces.
    """
    bits = jax.lax.bitcast_convert_type(jax.lax.stop_gradient(size), jnp.int32)
    over = jnp.maximum(0x7F000000 - (bits & 0x7F800000), 0x00800000)
    return jax.lax.bitcast_convert_type(over, jnp.float32)
