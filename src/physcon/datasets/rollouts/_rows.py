"""The rows of one law in a roll-out, and their sums."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._numerics import safe
from physcon._numerics.float64 import Pair, join, split
from physcon._typing import Array
from physcon.datasets.rollouts._fields import Named
from physcon.datasets.rollouts._terms import Term


class Rows(eqx.Module):
    """The rows of one law.

    Attributes:
        terms: the variables that the rows see after a step.
        rates: fluxes of one step that count for the next one (``fluxes: start``).
        known: a number as a pair of arrays, or None.
        present: which rows there are: others see missing values.
        kind: ``"known"``, ``"initial"`` or ``"budget"``.
        equals: name of the variable of known values, or None.
        dims: dimensions along which there is a row each.
        shape: their lengths.
        unit: of the coefficients; a target is divided by it.
        std: standard deviation of a row, in units of the law; None: exact.
        mean: whether the coefficients of a row are divided by their sum.
        below: whether the rows are at most their target.
        number: place of the law in the list of laws.
    """

    terms: tuple[Term, ...]
    rates: tuple[Term, ...]
    known: Any
    present: Any
    kind: str = eqx.field(static=True)
    equals: str | None = eqx.field(static=True)
    dims: tuple[str, ...] = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(static=True)
    unit: float = eqx.field(static=True)
    std: float | None = eqx.field(static=True)
    mean: bool = eqx.field(static=True)
    below: bool = eqx.field(static=True)
    number: int = eqx.field(static=True)

    @property
    def count(self) -> int:
        """Return the number of rows."""
        size = 1
        for length in self.shape:
            size *= length
        return size

    def coefficients(self, term: Term, look: Named) -> Any:
        """Return the coefficients of a term, normalised for a mean."""
        found = term.coefficients(look)
        if not self.mean:
            return found
        whole = self.summed(found, term)
        return found * safe.divide(jnp.ones_like(whole), whole)[term.row]

    def summed(self, entries: Array, term: Term) -> Array:
        """Return the sum of the entries of each row."""
        flat = entries.reshape(-1)
        return jax.ops.segment_sum(flat, term.row.reshape(-1), self.count)

    def measured(self, look: Named, terms: tuple[Term, ...]) -> tuple[Array, Array]:
        """Return the sum of terms in each row, and the sum of their sizes."""
        total: Any = 0.0
        size: Any = 0.0
        for each in terms:
            entries = self.coefficients(each, look) * each.entries(look)
            total = total + self.summed(entries, each)
            size = size + self.summed(jnp.abs(entries), each)
            if each.layers is not None and each.layers.water:
                constant = each.sizes * each.layers.dry(look, each.dims)[0]
                total = total + self.summed(constant, each)
                size = size + self.summed(jnp.abs(constant), each)
        return total, size

    def storage(self) -> tuple[Term, ...]:
        """Return the terms of the stored amount of a budget."""
        return tuple(t for t in self.terms if t.name == self.terms[0].name)


def first_target(rows: Rows, look: Named) -> Pair | None:
    """Return what the first step must meet, from the state before it."""
    if rows.kind == "known":
        return None
    total = rows.measured(look, rows.storage())[0]
    if rows.rates:
        total = total - rows.measured(look, rows.rates)[0]
    return split(total)


def next_target(rows: Rows, look: Named, target: Pair | None) -> Pair | None:
    """Return what the next step must meet, from the state after this one.

    An exact budget is integrated from its fluxes, so that the rounding of the state
    does not add up. An uncertain one starts again from what is stored.
    """
    if rows.kind != "budget" or target is None:
        return target
    if rows.std:
        total = rows.measured(look, rows.storage())[0]
    else:
        names = {t.name for t in rows.storage()}
        fluxes = tuple(t for t in rows.terms if t.name not in names)
        total = join(target)
        if fluxes:
            total = total - rows.measured(look, fluxes)[0]
    if rows.rates:
        total = total - rows.measured(look, rows.rates)[0]
    return split(total)


def missing(rows: Rows, look: Named, target: Pair | None) -> tuple[Array, Array]:
    """Return the target less the sum of each row, and the size of all terms.

    A row that is not known misses nothing: its target or a value in it is missing.
    """
    total, size = rows.measured(look, rows.terms)
    goal = join(target) if target is not None else asked(rows, look)
    known = rows.present & ~jnp.isnan(goal)
    goal = jnp.where(known, goal, 0)
    return jnp.where(known, goal - total, 0), size + jnp.abs(goal)


def known_rows(rows: Rows, look: Named) -> Array:
    """Return which rows there are, and have a known target."""
    if rows.equals is None:
        return jnp.asarray(rows.present)
    return rows.present & ~jnp.isnan(asked(rows, look))


def asked(rows: Rows, look: Named) -> Array:
    """Return the known values of the rows, in units of their coefficients."""
    if rows.equals is None:
        return join(rows.known)
    value = look.along(rows.equals, rows.dims)
    return jnp.broadcast_to(value, rows.shape).reshape(-1) / rows.unit
