"""Rows that share no value, solved in JAX on the default device.

Each row is one equation for its multiplier, which is piecewise linear and monotone, so
that safeguarded Newton steps find it. All rows are solved at once, in float64. Arrays
have one line for each row, padded with coefficients of zero.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from physcon._typing import Array

_EPS = float(jnp.finfo(jnp.float64).eps)
_STEPS = 200
_BISECTED = 3  # every third step halves the bracket of a multiplier
_SMALL = 1e-26
_MET = 1e-11  # relative to the terms of a row
_ROUNDED = 1e-4  # times _MET: a few rounding errors of the terms before


class Lines(NamedTuple):
    """Rows and their values, ``(rows, terms)`` or ``(rows,)``.

    Attributes:
        mean: the values before.
        std: their standard deviations; zero where they are certain.
        lower: lower bounds.
        upper: upper bounds.
        coefficient: of each value in its row; zero in the padding.
        value: right-hand side of each row.
        noise: its standard deviation.
    """

    mean: Array
    std: Array
    lower: Array
    upper: Array
    coefficient: Array
    value: Array
    noise: Array


class Found(NamedTuple):
    """New values ``(rows, terms)``, and of each row the relative error; chi-squared."""

    values: Array
    unmet: Array
    good: Array
    chi_squared: Array


class _Scaled(NamedTuple):
    """Rows over values in units of their std, scaled to length one."""

    a: Array
    length: Array
    noise: Array
    live: Array
    low: Array
    high: Array


@jax.jit
def solved_rows(lines: Lines) -> Found:
    """Return the values nearest to the mean that obey their rows and bounds.

    Call it in float64 (`jax.enable_x64`).
    """
    scaled = _scaled(lines)
    missed = _residual(lines, lines.mean)
    size = _sizes(lines, lines.mean)
    # A row that holds to rounding already asks for no change of any digit.
    held = jnp.abs(missed) <= 2 * _EPS * size
    lines = lines._replace(value=lines.value - jnp.where(held, missed, 0.0))
    offset = jnp.where(held, 0.0, missed) / scaled.length
    dual = _multipliers(scaled, jnp.where(scaled.live, offset, 0.0))
    u, dual = _polished(lines, scaled, dual)
    unmet = _residual(lines, u) - scaled.noise * dual * scaled.length
    # A value near zero is rounded like the larger one that it was corrected from.
    size = _sizes(lines, u) + _ROUNDED * size
    relative = jnp.abs(unmet) / jnp.where(size > 0, size, 1.0)
    moved = lines.std > 0
    safe = jnp.where(moved, lines.std, 1.0)
    change = jnp.where(moved, (u - lines.mean) / safe, 0.0)
    return Found(u, relative, relative <= _MET, jnp.sum(change**2))


def _scaled(lines: Lines) -> _Scaled:
    """Scale values by their std and rows to length one, without squaring units."""
    a = lines.coefficient * lines.std
    largest = jnp.maximum(jnp.max(jnp.abs(a), 1), lines.noise)
    live = largest > 0
    first = jnp.where(live, largest, 1.0)
    a = a / first[:, None]
    noise = (lines.noise / first) ** 2
    length = jnp.sqrt(jnp.sum(a * a, 1) + noise)
    length = jnp.where(live, length, 1.0)
    moved = lines.std > 0
    safe = jnp.where(moved, lines.std, 1.0)
    low = jnp.where(moved, (lines.lower - lines.mean) / safe, 0.0)
    high = jnp.where(moved, (lines.upper - lines.mean) / safe, 0.0)
    a = a / length[:, None]
    return _Scaled(a, length * first, noise / length**2, live, low, high)


def _corrections(scaled: _Scaled, dual: Array) -> tuple[Array, Array]:
    """Return the scaled corrections for some multipliers, and which are free."""
    pull = jnp.where(scaled.a == 0, 0.0, scaled.a * dual[:, None])
    z = jnp.clip(pull, scaled.low, scaled.high)
    return z, (pull > scaled.low) & (pull < scaled.high)


def _slope(scaled: _Scaled, free: Array) -> Array:
    return jnp.sum(jnp.where(free, scaled.a**2, 0.0), 1) + scaled.noise


def _multipliers(scaled: _Scaled, offset: Array) -> Array:
    """Return the multiplier of each row, by Newton's method within a bracket."""
    rounding = 4 * _EPS * (jnp.abs(offset) + jnp.sqrt(scaled.a.shape[1] + 1.0))

    def missed(dual: Array) -> tuple[Array, Array]:
        z, free = _corrections(scaled, dual)
        left = offset - jnp.sum(scaled.a * z, 1) - scaled.noise * dual
        return jnp.where(scaled.live, left, 0.0), free

    def active(state: tuple[Array, ...]) -> Array:
        _, below, above, left, _, step = state
        size = jnp.maximum(jnp.abs(above), jnp.abs(below))
        closed = jnp.isfinite(size) & (above - below <= 2 * _EPS * size)
        return (step < _STEPS) & jnp.any((jnp.abs(left) > rounding) & ~closed)

    def improved(state: tuple[Array, ...]) -> tuple[Array, ...]:
        dual, below, above, left, free, step = state
        below = jnp.where(left > 0, dual, below)
        above = jnp.where(left < 0, dual, above)
        slope = _slope(scaled, free)
        newton = dual + left / jnp.maximum(slope, _SMALL)
        both = jnp.isfinite(below) & jnp.isfinite(above)
        # All values are at a bound: a long step frees some of them.
        far = dual + jnp.sign(left) * (2 * jnp.abs(dual) + 1)
        middle = jnp.where(both, 0.5 * (below + above), far)
        usable = (newton > below) & (newton < above) & (slope > _SMALL)
        usable &= ~both | (step % _BISECTED != _BISECTED - 1)
        new = jnp.where(usable, newton, middle)
        dual = jnp.where(jnp.abs(left) <= rounding, dual, new)
        return (dual, below, above, *missed(dual), step + 1)

    endless = jnp.full_like(offset, jnp.inf)
    start = (offset, -endless, endless, *missed(offset), jnp.asarray(0))
    return jax.lax.while_loop(active, improved, start)[0]


def _polished(lines: Lines, scaled: _Scaled, dual: Array) -> tuple[Array, Array]:
    """Remove what rounding left of the residuals, with the same values at bounds."""
    moved = lines.std > 0
    low_end = jnp.where(moved, lines.lower, lines.mean)
    high_end = jnp.where(moved, lines.upper, lines.mean)
    z, free = _corrections(scaled, dual)
    slope = _slope(scaled, free)
    slope = jnp.where(slope > _SMALL, slope, 1e-10)

    def values(z: Array) -> Array:
        inner = jnp.where(z >= scaled.high, high_end, lines.mean + lines.std * z)
        return jnp.clip(jnp.where(z <= scaled.low, low_end, inner), low_end, high_end)

    def wrong(u: Array, dual: Array) -> Array:
        left = _residual(lines, u) / scaled.length - scaled.noise * dual
        small = 0.25 * _EPS * _sizes(lines, u) / scaled.length
        return jnp.where(scaled.live & (jnp.abs(left) > small), left, 0.0)

    def better(_: Any, state: tuple[Array, ...]) -> tuple[Array, ...]:
        z, u, dual, left = state
        step = left / slope
        new_z = jnp.where(free, z + scaled.a * step[:, None], z)
        new_u = values(new_z)
        new_left = wrong(new_u, dual + step)
        gain = jnp.abs(new_left) < jnp.abs(left)
        each = gain[:, None]
        return (
            jnp.where(each, new_z, z),
            jnp.where(each, new_u, u),
            jnp.where(gain, dual + step, dual),
            jnp.where(gain, new_left, left),
        )

    u = values(z)
    start = (z, u, dual, wrong(u, dual))
    _, u, dual, _ = jax.lax.fori_loop(0, 4, better, start)
    return u, dual


def _sizes(lines: Lines, u: Array) -> Array:
    """Return the size of the terms of each row, the scale of its rounding errors."""
    return jnp.sum(jnp.abs(lines.coefficient * u), 1) + jnp.abs(lines.value)


def _residual(lines: Lines, u: Array) -> Array:
    """Return ``value - sum``, where the sum has more digits than float64.

    Terms are cut into parts whose sums are exact in any order.

    Source: Rump, Ogita and Oishi (2008), Accurate floating-point summation part I.
    """
    terms = lines.coefficient * u
    bits = int(terms.shape[1] + 2).bit_length()
    _, exponent = jnp.frexp(jnp.max(jnp.abs(terms), 1))
    cut = jnp.ldexp(jnp.ones_like(lines.value), exponent + bits)[:, None]
    high = (terms + cut) - cut
    rest = terms - high
    cut = cut * 2.0 ** (bits - 53)
    low = (rest + cut) - cut
    left = lines.value - jnp.sum(high, 1)
    return left - jnp.sum(low, 1) - jnp.sum(rest - low, 1)
