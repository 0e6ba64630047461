"""Bounds and known values of single points in a roll-out."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp

from physcon._typing import Array, Bool
from physcon.datasets._laws import AnyLaw, Between, Values
from physcon.datasets.rollouts._fields import Named


class Bounds(eqx.Module):
    """Bounds of a variable: numbers or names; None where open."""

    name: str = eqx.field(static=True)
    dims: tuple[str, ...] = eqx.field(static=True)
    lower: float | int | str | None = eqx.field(static=True)
    upper: float | int | str | None = eqx.field(static=True)

    def ends(self, look: Named) -> tuple[Array, Array]:
        """Return the bounds at every point; infinite where open or not known."""
        u = look(self.name)
        found = []
        for given, open_end in ((self.lower, -jnp.inf), (self.upper, jnp.inf)):
            end = jnp.full_like(u, open_end)
            if given is not None:
                known = _known(given, self.dims, look, u)
                end = jnp.where(jnp.isnan(known), end, known)
            found.append(end)
        return found[0], found[1]


class Fixed(eqx.Module):
    """Known values of a variable where a mask is not zero."""

    name: str = eqx.field(static=True)
    dims: tuple[str, ...] = eqx.field(static=True)
    where: str = eqx.field(static=True)
    equals: float | int | str = eqx.field(static=True)

    def mask(self, look: Named) -> Array:
        """Return where the values are known."""
        known = self.value(look)
        here = look.along(self.where, self.dims) != 0
        return jnp.broadcast_to(here, known.shape) & jnp.isfinite(known)

    def value(self, look: Named) -> Array:
        """Return the known values at every point."""
        return _known(self.equals, self.dims, look, look(self.name))


def _known(given: Any, dims: Sequence[str], look: Named, like: Array) -> Array:
    """Return a number, or a variable by name, at every point."""
    known = look.along(given, dims) if isinstance(given, str) else given
    return jnp.broadcast_to(jnp.asarray(known, like.dtype), like.shape)


def points_of(law: AnyLaw, data: Any) -> Bounds | Fixed | None:
    """Return the bounds or the known values of a law; None for other laws."""
    if isinstance(law, Between):
        dims = tuple(map(str, data[law.of].dims))
        return Bounds(law.of, dims, law.lower, law.upper)
    if isinstance(law, Values):
        dims = tuple(map(str, data[law.of].dims))
        return Fixed(law.of, dims, law.where, law.equals)
    return None


def fixed_points(fixed: Sequence[Fixed], look: Named) -> dict[str, Array]:
    """Return the variables with known values, with these set."""
    found: dict[str, Array] = {}
    for each in fixed:
        u = found.get(each.name, look(each.name))
        found[each.name] = jnp.where(each.mask(look), each.value(look), u)
    return found


def limits(
    bounds: Sequence[Bounds], look: Named, start: Mapping[str, int], std: Array
) -> tuple[Array | None, Array | None]:
    """Return the bounds of the change of the long vector, or None without bounds."""
    if not bounds:
        return None, None
    low = jnp.full_like(std, -jnp.inf)
    high = jnp.full_like(std, jnp.inf)
    for each in bounds:
        if each.name not in start:
            continue
        u = look(each.name)
        lower, upper = each.ends(look)
        part = slice(start[each.name], start[each.name] + u.size)
        low = low.at[part].max((lower - u).reshape(-1))
        high = high.at[part].min((upper - u).reshape(-1))
    certain = std == 0
    low = jnp.where(certain, -jnp.inf, low)
    return low, jnp.where(certain, jnp.inf, high)


def outside(
    bounds: Sequence[Bounds], look: Named, inside: Mapping[str, Any]
) -> Bool[Array, ""]:
    """Return whether any value is outside of its bounds by more than rounding."""
    found = jnp.zeros((), bool)
    for each in bounds:
        u = look(each.name)
        lower, upper = each.ends(look)
        excess = jnp.maximum(lower - u, u - upper)
        rounding = 16 * jnp.finfo(u.dtype).eps * jnp.abs(u)
        wrong = jnp.where(inside[each.name], excess > rounding, False)
        found = found | jnp.any(wrong)
    return found
