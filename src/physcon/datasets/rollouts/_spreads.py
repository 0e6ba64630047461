"""The spread of each variable in a roll-out, from the state of the step."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array
from physcon.datasets._axes import is_member
from physcon.datasets._laws import Laws
from physcon.datasets._spread import (
    METRICS,
    REMEDY,
    certain_names,
    entries_of,
    share_of,
)
from physcon.datasets.rollouts._fields import Named
from physcon.datasets.rollouts._rows import Rows


class Spread(eqx.Module):
    """How uncertain a variable is.

    Attributes:
        name: of the variable.
        dims: its dimensions.
        kind: ``"number"``, ``"share"``, ``"variable"``, ``"ensemble"`` or a metric.
        value: a number, or the name of a variable or of the dimension of members.
    """

    name: str = eqx.field(static=True)
    dims: tuple[str, ...] = eqx.field(static=True)
    kind: str = eqx.field(static=True)
    value: float | str = eqx.field(static=True)

    def std(self, look: Named, rows: Sequence[Rows]) -> Array:
        """Return the standard deviation at every point."""
        u = look(self.name)
        if self.kind == "number":
            return jnp.full_like(u, float(self.value))
        if self.kind == "share":
            return float(self.value) * jnp.abs(u)
        if self.kind == "variable":
            return jnp.broadcast_to(look.along(str(self.value), self.dims), u.shape)
        if self.kind == "ensemble":
            axis = self.dims.index(str(self.value))
            unit = safe.power_of_two(jnp.max(jnp.abs(jax.lax.stop_gradient(u))))
            variance = jnp.var(u / unit, axis=axis, ddof=1, keepdims=True)
            return jnp.broadcast_to(unit * safe.sqrt(variance), u.shape)
        return self._metric(u, look, rows)

    def _metric(self, u: Array, look: Named, rows: Sequence[Rows]) -> Array:
        """Return the std for which the least correction equals a named fixer's."""
        if self.kind in ("thickness", "residual"):
            return jnp.ones_like(u)
        seen = [t for law in rows for t in law.terms if t.name == self.name]
        whole = [t for t in seen if t.row.size == u.size]
        if not whole:
            even = self.kind == "uniform"
            return jnp.ones_like(u) if even else safe.sqrt(jnp.abs(u))
        term = whole[0]
        entries = jnp.abs(term.coefficients(look))
        if self.kind == "uniform" and term.layers is not None and term.layers.water:
            entries = entries * safe.divide(entries, jnp.abs(term.sizes))
        weights = jnp.zeros(u.size, u.dtype)
        weights = weights.at[term.column.reshape(-1)].add(entries.reshape(-1))
        weights = weights.reshape(u.shape) / jnp.max(weights)
        top = jnp.abs(u) if self.kind == "proportional" else jnp.ones_like(u)
        return safe.sqrt(safe.divide(top, weights))


def spreads_of(laws: Laws, data: Any) -> tuple[Spread, ...]:
    """Return the spread of every variable that a step may change."""
    given = entries_of(laws)
    certain = certain_names(laws)
    return tuple(
        _parsed(name, each, data) for name, each in given.items() if name not in certain
    )


def _parsed(name: str, given: Any, data: Any) -> Spread:
    """Return the spread of a variable from its entry in the laws."""
    dims = tuple(map(str, data[name].dims))
    if isinstance(given, Mapping):
        require(len(given) == 1, "one kind of spread", dict(given), REMEDY)
        (kind, value), *_ = given.items()
        if kind == "ensemble":
            return _of_members(name, dims, str(value), data)
        require(kind in ("metric", "std"), "ensemble, metric or std", kind, REMEDY)
        given = value
    text = str(given).strip()
    usable = not isinstance(given, bool)
    if usable and text in METRICS:
        return Spread(name, dims, text, 0.0)
    if usable and text.endswith("%"):
        return Spread(name, dims, "share", share_of(text))
    if usable and text in data.variables:
        extra = [d for d in map(str, data[text].dims) if d not in dims]
        require(not extra, f"{text!r} with dimensions among {dims}", extra, "reduce it")
        return Spread(name, dims, "variable", text)
    if text == "ensemble":
        members = [d for d in dims if is_member(d)]
        require(len(members) == 1, "one dimension of members", dims, "name it")
        return _of_members(name, dims, members[0], data)
    try:
        number = float(text) if usable else -1.0
    except ValueError:
        number = -1.0
    require(number >= 0, f"a spread of {name!r}", repr(given), REMEDY)
    return Spread(name, dims, "number", number)


def _of_members(name: str, dims: tuple[str, ...], member: str, data: Any) -> Spread:
    """Return the spread of an ensemble."""
    require(
        member in dims and data.sizes[member] >= 2,
        f"two or more members of {name!r} along {member!r}",
        dims,
        "name the dimension of the members: {ensemble: NAME}",
    )
    return Spread(name, dims, "ensemble", member)
