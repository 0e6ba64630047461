"""Laws in a roll-out: pure functions that correct the state of a model at each step."""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._numerics.float64 import Pair, float64_primal
from physcon._status import Outcome, choose, settle, worse
from physcon._typing import Array, Scalar
from physcon.datasets.rollouts._fields import Named, as_dtype
from physcon.datasets.rollouts._members import perturbed
from physcon.datasets.rollouts._points import (
    Bounds,
    Fixed,
    fixed_points,
    limits,
    outside,
)
from physcon.datasets.rollouts._rows import Rows, first_target, missing, next_target
from physcon.datasets.rollouts._spreads import Spread
from physcon.datasets.rollouts._step import Places, Problem, least_change, verdict

State = Mapping[str, Any]


class FixerState(eqx.Module):
    """What a fixer carries from step to step; a pytree for `jax.lax.scan`.

    Attributes:
        targets: what the rows of each law must meet next, as pairs of arrays whose sum
            has the digits of float64; None for laws with a known value.
        chi_squared: squared change of the last step in units of the spread, summed: a
            loss term for training. Under exact laws and a right spread its mean is the
            number of independent rows.
        outcome: the worst outcome so far, an `Outcome`. `contradiction`: some state
            could not be made to obey the laws. `unreachable`: a certain value is out of
            its bounds. `not_finite`: a NaN or an infinity.
        steps: number of steps so far.
    """

    targets: tuple[Pair | None, ...]
    chi_squared: Scalar
    outcome: Outcome
    steps: Array


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class Fixer:
    """Corrects the states of a roll-out; made by `fixer`. Unpacks as ``init, apply``.

    A state is a dictionary of arrays by variable name, in the shapes of the template
    without time; other entries pass through unchanged. Values that are missing in the
    template stay as they are. Batch with `jax.vmap`.
    """

    rows: tuple[Rows, ...]
    spreads: tuple[Spread, ...]
    bounds: tuple[Bounds, ...]
    fixed: tuple[Fixed, ...]
    inside: dict[str, Any]
    constants: dict[str, Any]
    equal: Places | None
    below: Places | None
    start: dict[str, int]
    dims: dict[str, tuple[str, ...]]
    shapes: dict[str, tuple[int, ...]]
    seed: int
    throw: bool

    def __repr__(self) -> str:
        """Return the names of the variables that the fixer may change."""
        return f"Fixer(of {', '.join(self.start)}, {len(self.rows)} laws with rows)"

    def __iter__(self) -> Iterator[Any]:
        """Yield `init` and `apply`."""
        return iter((self.init, self.apply))

    def init(self, state: State, forcings: State | None = None) -> FixerState:
        """Return what the fixer carries, from the state before the first step.

        Args:
            state: arrays by name, before the first step.
            forcings: further arrays that the laws name.
        """
        values, dtype = self._values(state, forcings)
        rows = as_dtype(self.rows, dtype)

        @float64_primal
        def targets(rows: Any, values: Any) -> Any:
            look = self._look(values)
            return tuple(first_target(law, look) for law in rows)

        zero = jnp.zeros((), dtype)
        count = jnp.zeros((), jnp.int32)
        good = Outcome.where(zero == 0, Outcome.good, Outcome.good)
        return FixerState(targets(rows, values), zero, good, count)

    def apply(
        self, fixer_state: FixerState, state: State, forcings: State | None = None
    ) -> tuple[FixerState, dict[str, Any]]:
        """Return what the fixer carries on, and the state that obeys the laws.

        Args:
            fixer_state: from `init`, or from the step before.
            state: arrays by name, as the model predicts them.
            forcings: further arrays that the laws name, such as given fluxes.

        Raises:
            ValueError: a variable is missing or has another shape, while tracing.
            RuntimeError: at run time under ``throw=True``: no state obeys the laws.
                With ``throw=False``, `FixerState.outcome` says so, and derivatives are
                NaN.
        """
        values, dtype = self._values(state, forcings)
        rows = as_dtype(self.rows, dtype)
        values = values | fixed_points(self.fixed, self._look(values))
        look = self._look(values)
        targets = fixer_state.targets
        left = [m for m, _ in self._missing(rows, values, targets)]
        left = perturbed(left, rows, self.spreads, self.seed, fixer_state.steps)
        std = self._stds(look, rows, dtype)
        low, high = limits(self.bounds, look, self.start, std)
        problem = Problem(std, low, high, left)
        change, solved = least_change(problem, rows, self.equal, self.below, look)
        new = self._moved(values, change, low, high)
        after = self._missing(rows, new, targets)
        outcome = verdict(rows, after, change, solved)
        out = outside(self.bounds, self._look(new), self.inside)
        outcome = worse(outcome, choose((out, Outcome.unreachable)))
        chi_squared = jnp.sum(safe.divide(change, std) ** 2)
        carried = self._next(rows, new, targets)
        out = dict(state)
        for name in (*self.start, *(f.name for f in self.fixed)):
            if name in state:
                old = jnp.asarray(state[name])
                fixed = new[name].astype(old.dtype)
                out[name] = jnp.where(self.inside[name], fixed, old)
        parts = (out, chi_squared, carried)
        out, chi_squared, carried = settle(parts, outcome, self.throw)
        worst = worse(fixer_state.outcome, outcome)
        steps = fixer_state.steps + 1
        return FixerState(carried, chi_squared, worst, steps), out

    def _look(self, values: State) -> Named:
        return Named(self.dims, self.shapes, values)

    def _values(self, state: State, forcings: State | None) -> tuple[dict, Any]:
        """Return arrays by name in one dtype, with zero for missing variables."""
        given = dict(self.constants) | dict(state) | dict(forcings or {})
        needed = {*self.start, *(f.name for f in self.fixed)}
        require(
            needed <= set(state),
            f"a state with {sorted(needed)}",
            sorted(map(str, state)),
            "add the missing variables",
        )
        leaves = [jnp.asarray(state[n]) for n in sorted(needed)]
        whole = [
            str(x.dtype) for x in leaves if not jnp.issubdtype(x.dtype, jnp.inexact)
        ]
        remedy = "convert the state: a corrected integer would be rounded"
        require(not whole, "floating-point variables in the state", whole, remedy)
        dtype = jnp.result_type(*leaves) if leaves else jnp.result_type(float)
        look = Named(self.dims, self.shapes, given)
        values = {}
        for name in self.dims:
            if name in given:
                x = look(name).astype(dtype)
                inside = self.inside.get(name)
                values[name] = x if inside is None else jnp.where(inside, x, 0)
        return values, dtype

    def _missing(self, rows: Any, values: Any, targets: Any) -> list:
        @float64_primal
        def measured(rows: Any, values: Any, targets: Any) -> Any:
            look = self._look(values)
            pairs = zip(rows, targets, strict=True)
            return [missing(law, look, target) for law, target in pairs]

        return measured(rows, values, targets)

    def _next(self, rows: Any, values: Any, targets: Any) -> tuple:
        @float64_primal
        def carried(rows: Any, values: Any, targets: Any) -> Any:
            look = self._look(values)
            pairs = zip(rows, targets, strict=True)
            return tuple(next_target(law, look, target) for law, target in pairs)

        return carried(rows, values, targets)

    def _stds(self, look: Named, rows: Any, dtype: Any) -> Array:
        """Return the std of the long vector; zero where a value is certain."""
        pieces = []
        held = {f.name: f.mask(look) for f in self.fixed}
        for spread in self.spreads:
            std = spread.std(look, rows).astype(dtype)
            std = jnp.where(self.inside[spread.name], std, 0)
            if spread.name in held:
                std = jnp.where(held[spread.name], 0, std)
            pieces.append(std.reshape(-1))
        return jnp.concatenate(pieces) if pieces else jnp.zeros(0, dtype)

    def _moved(
        self, values: dict, change: Array, low: Array | None, high: Array | None
    ) -> dict:
        """Return the values after a change of the long vector, inside their bounds."""
        if low is not None:
            change = jnp.clip(change, low, high)
        new = dict(values)
        for name, begin in self.start.items():
            u = values[name]
            part = jax.lax.dynamic_slice_in_dim(change, begin, u.size)
            new[name] = u + part.reshape(u.shape)
        return new
