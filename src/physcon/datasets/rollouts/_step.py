"""The least change of a state that makes all laws of a step hold."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from physcon._status import Outcome, choose, worse
from physcon._typing import Array
from physcon.conditioning import Auto, Gaussian, LinearConstraint, constrained
from physcon.conditioning.solvers.implicit import update
from physcon.datasets.rollouts._fields import Named
from physcon.datasets.rollouts._rows import Rows, known_rows
from physcon.linear_map import Disjoint, Labelled, LinearMap, Sparse
from physcon.linear_map import Rows as Dense


class Places(eqx.Module):
    """Where the entries of rows are in the long vector of changeable values.

    Attributes:
        pattern: the sparse operator, or the labels of disjoint rows, or None for one
            row.
        order: the entries that are used: (law, term) pairs.
        count: number of rows.
        size: number of values.
    """

    pattern: Any
    row: Any
    column: Any
    order: tuple[tuple[int, int], ...] = eqx.field(static=True)
    count: int = eqx.field(static=True)
    size: int = eqx.field(static=True)

    @classmethod
    def of(
        cls, rows: Sequence[Rows], start: dict[str, int], size: int, below: bool
    ) -> "Places | None":
        """Return the places of the equations, or of the inequalities."""
        order: list[tuple[int, int]] = []
        numbers: list[np.ndarray] = []
        columns: list[np.ndarray] = []
        count = 0
        for k, law in enumerate(rows):
            if law.below != below:
                continue
            for t, term in enumerate(law.terms):
                if term.name in start and not term.given:
                    order.append((k, t))
                    numbers.append(count + term.row.ravel())
                    columns.append(start[term.name] + term.column.ravel())
            count += law.count
        if count == 0:
            return None
        row = np.concatenate(numbers) if numbers else np.zeros(0, np.int64)
        column = np.concatenate(columns) if columns else np.zeros(0, np.int64)
        once = np.bincount(column, minlength=size).max(initial=0) <= 1
        pattern: Any = None
        if count > 1 and not once:
            pattern = Sparse.of(jnp.ones(row.size), row, column, (size,), count)
        return cls(
            pattern,
            row.astype(np.int32),
            column.astype(np.int32),
            tuple(order),
            count,
            size,
        )

    def operator(self, entries: Array) -> LinearMap:
        """Return the rows with these entries."""
        if self.pattern is not None:
            return eqx.tree_at(lambda s: s.entries, self.pattern, entries)
        weights = jnp.zeros(self.size, entries.dtype).at[self.column].add(entries)
        if self.count == 1:
            return Dense(weights[None])
        label = np.full(self.size, -1, np.int32)
        label[np.asarray(self.column)] = np.asarray(self.row)
        return Disjoint(weights, Labelled(jnp.asarray(label), self.count))


class Problem(NamedTuple):
    """What a step has to solve, for the change of the long vector.

    Attributes:
        std: of each value.
        lower, upper: bounds of the change, or None where no law bounds a value.
        missing: what the rows of each law still miss.
    """

    std: Array
    lower: Array | None
    upper: Array | None
    missing: list[Array]


def least_change(
    problem: Problem,
    rows: Sequence[Rows],
    equal: Places | None,
    below: Places | None,
    look: Named,
) -> tuple[Array, Outcome]:
    """Return the least change in units of the spread, and whether it was found."""
    std = problem.std
    prior = Gaussian.diagonal(jnp.zeros_like(std), std)
    law = _constraint(equal, rows, problem, look, False)
    bounded = problem.lower is not None
    if below is None and not bounded:
        if law is None:
            return jnp.zeros_like(std), Outcome.good
        return update(Auto().choose(prior, law), prior, law).mean, Outcome.good
    ordered = _constraint(below, rows, problem, look, True)
    if law is None and ordered is None:
        return jnp.clip(0 * std, problem.lower, problem.upper), Outcome.good
    found = constrained(
        prior,
        law,
        problem.lower,
        problem.upper,
        rows=None if ordered is None else ordered.operator,
        row_upper=None if ordered is None else ordered.value,
        throw=False,
    )
    return found.mean, found.outcome


def _constraint(
    places: Places | None,
    rows: Sequence[Rows],
    problem: Problem,
    look: Named,
    below: bool,
) -> LinearConstraint | None:
    """Return the rows of all equations, or of all inequalities, for the change."""
    if places is None:
        return None
    known = {k: known_rows(law, look) for k, law in enumerate(rows)}
    pieces = []
    for k, t in places.order:
        term = rows[k].terms[t]
        entries = jnp.where(known[k][term.row], rows[k].coefficients(term, look), 0)
        pieces.append(entries.reshape(-1))
    dtype = problem.std.dtype
    entries = jnp.concatenate(pieces) if pieces else jnp.zeros(0, dtype)
    used = [k for k, law in enumerate(rows) if law.below == below]
    value = jnp.concatenate([problem.missing[k] for k in used])
    stds = [jnp.full(rows[k].count, rows[k].std or 0.0, dtype) for k in used]
    noisy = any(rows[k].std for k in used)
    noise = jnp.concatenate(stds) if noisy else None
    return LinearConstraint(places.operator(entries), value, noise)


def verdict(
    rows: Sequence[Rows],
    missing: Sequence[tuple[Array, Array]],
    change: Array,
    solved: Outcome,
) -> Outcome:
    """Return whether the new state is finite and meets all exact rows to rounding."""
    outcome = solved
    finite = jnp.all(jnp.isfinite(change))
    for law, (left, size) in zip(rows, missing, strict=True):
        rounding = 16 * jnp.finfo(left.dtype).eps * size
        wrong = left < -rounding if law.below else jnp.abs(left) > rounding
        finite = finite & jnp.all(jnp.isfinite(left))
        if not law.std:
            unmet = choose((jnp.any(wrong), Outcome.contradiction))
            outcome = worse(outcome, unmet)
    return worse(outcome, choose((~finite, Outcome.not_finite)))
