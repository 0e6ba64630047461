"""Groups of points for the moves of Gibbs sampling, and directions for each group."""

import jax
import jax.numpy as jnp

from physcon._typing import Array, Bool, Float


def order(key: Array, size: Float[Array, "m n"], moving: Bool[Array, " n"]) -> Array:
    """Points in the order in which they are grouped; points that can't move come last.

    In half of the sweeps the order is random. In the other half points that are seen by
    the same rows are neighbours, so that a group has few rows, and among them points
    that the rows feel equally: a small one would hold a large one where it is.
    """
    m, n = size.shape
    coin, tie, mark, turn = jax.random.split(key, 4)
    # Random numbers are 32 bits wide: wider ones don't work in local float64.
    by_rows = jax.random.bits(coin, (), jnp.uint32) % 2 == 0
    weight = jax.random.uniform(mark, (m,), jnp.float32).astype(size.dtype)
    pattern = jnp.where(size > 0, weight[:, None], 0)
    label = jnp.where(by_rows, jnp.sum(pattern, axis=0), 0)
    largest = jnp.max(size, axis=0)
    ties = jnp.where(by_rows, by_size(tie, largest), _uniform(tie, n))
    places = jnp.lexsort((ties, label, ~moving))
    # A random start, among the points that move.
    number = jnp.maximum(jnp.sum(moving, dtype=jnp.int32), 1)
    shift = jax.random.randint(turn, (), 0, number, jnp.int32)
    place = jnp.arange(n, dtype=jnp.int32)
    return places[jnp.where(place < number, (place + shift) % number, place)]


def by_size(key: Array, size: Float[Array, " n"]) -> Float[Array, " n"]:
    """Keys that sort points by their size, up to a random factor."""
    tiny = float(jnp.finfo(size.dtype).tiny)
    return jnp.log(jnp.maximum(size, tiny)) + 2 * _uniform(key, size.size)


def _uniform(key: Array, n: int) -> Float[Array, " n"]:
    return jax.random.uniform(key, (n,), jnp.float32).astype(jnp.float64)


def direction(a: Float[Array, "m k"], z: Float[Array, " k"]) -> Float[Array, " k"]:
    """A unit vector e with a e = 0, the projection of z; zero if there is none.

    Entries that the rows determine are rounding, and are removed: else a point on its
    bound would stop the whole group.
    """
    seen = jnp.any(a != 0, axis=0)
    first = project(a, jnp.where(seen, z, 0))
    kept = jnp.abs(first) > DETERMINED
    e = project(jnp.where(kept[None], a, 0), jnp.where(kept, z, 0))
    e = jnp.where(kept, e, 0)
    size = jnp.sqrt(jnp.sum(e**2))
    usable = size > 10 * DETERMINED
    return jnp.where(usable, e / jnp.where(usable, size, 1), 0)


def project(a: Float[Array, "m k"], z: Float[Array, " k"]) -> Float[Array, " k"]:
    """z less its components along the rows of `a`: Gram-Schmidt, each step twice."""

    def less(x: Array, basis: Array) -> Array:
        for _ in range(2):
            x = x - jnp.sum(jnp.sum(basis * x[None], axis=1)[:, None] * basis, axis=0)
        return x

    def absorb(basis: Array, row: tuple[Array, Array]) -> tuple[Array, None]:
        index, x = row
        size = jnp.sqrt(jnp.sum(x**2))
        rest = less(x / jnp.where(size > 0, size, 1), basis)
        length = jnp.sqrt(jnp.sum(rest**2))
        independent = length > 1e-9
        unit = jnp.where(independent, rest / jnp.where(independent, length, 1), 0)
        return basis.at[index].set(unit), None

    m = a.shape[0]
    basis = jnp.zeros_like(a)
    if m == 1:
        basis, _ = absorb(basis, (jnp.int32(0), a[0]))
    else:
        basis, _ = jax.lax.scan(absorb, basis, (jnp.arange(m), a))
    return less(z, basis)


#: Entries of a unit direction, and shares of a variance, that count as zero.
DETERMINED = 1e-9
