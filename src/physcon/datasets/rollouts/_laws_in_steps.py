"""The rows of each kind of law in a roll-out, from a template dataset."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon._numerics.float64 import Pair
from physcon.datasets._axes import space_dims
from physcon.datasets._block_means import block_dims, block_numbers
from physcon.datasets._budgets import step_lengths, summed
from physcon.datasets._dry_air import layers_of
from physcon.datasets._laws import (
    AnyLaw,
    BlockMean,
    Budget,
    DryAir,
    Laws,
    Mean,
    Order,
    Sum,
    Total,
    title,
)
from physcon.datasets._tidy import Term
from physcon.datasets._where import cell_sizes
from physcon.datasets.rollouts._rows import Rows
from physcon.datasets.rollouts._terms import Layers, sizes_and_layers, term

with needs("data"):
    import xarray as xr

_ONE = 1.0


def step_rows(law: AnyLaw, data: Any, whole: Any, laws: Laws) -> Rows | None:
    """Return the rows of a law after each step; None for bounds and known values.

    Args:
        law: the law.
        data: the template at one time.
        whole: the template, which may state the length of a step.
        laws: all laws.
    """
    make = _MAKERS.get(type(law))
    return None if make is None else make(law, data, whole, laws)


def _rows(
    law: Any,
    laws: Laws,
    terms: Sequence[Any],
    rows: dict[str, int],
    unit: float = 1.0,
    *,
    equals: Any = None,
    rates: Sequence[Any] = (),
    kind: str | None = None,
    mean: bool = False,
    below: bool = False,
) -> Rows:
    """Return the rows with their target: a number, a name, or what comes before."""
    named = isinstance(equals, str) and equals != "initial"
    kind = kind or ("initial" if equals == "initial" else "known")
    count = int(np.prod(list(rows.values()), dtype=int))
    number = 0.0 if equals is None or isinstance(equals, str) else float(equals) / unit
    high: Any = np.full(count, np.float32(number), np.float64)
    known = Pair(high, number - high) if kind == "known" and not named else None
    std = getattr(law, "std", None)
    return Rows(
        tuple(terms),
        tuple(rates),
        known,
        _present(terms, count, isinstance(law, Sum | Order)),
        kind,
        equals if named else None,
        tuple(rows),
        tuple(rows.values()),
        unit,
        None if not std else float(std) / unit,
        mean,
        below,
        laws.laws.index(law),
    )


def _present(terms: Sequence[Any], count: int, every: bool) -> np.ndarray:
    """Return which rows see a value, of one term or of every term."""
    seen = [np.bincount(t.row.ravel(), t.sizes.ravel() != 0, count) > 0 for t in terms]
    return np.all(seen, axis=0) if every else np.any(seen, axis=0)


def _left(data: Any, name: str, over: Sequence[str]) -> dict[str, int]:
    """Return the dimensions of a variable that are not summed over."""
    dims = tuple(map(str, data[name].dims))
    absent = [d for d in over if d not in dims]
    require(
        not absent and bool(over),
        f"dimensions of {name!r} among {dims}",
        over,
        "correct 'over'",
    )
    return {d: data.sizes[d] for d in dims if d not in over}


def _scaled(sizes: Any) -> tuple[Any, float]:
    """Return sizes of at most 1, and the unit in which they are."""
    unit = float(np.abs(sizes).max())
    require(
        bool(np.isfinite(unit)), "cells of finite size", unit, "correct the weights"
    )
    unit = unit if unit > 0 else 1.0
    return sizes / unit, unit


def _total(law: Total, data: Any, whole: Any, laws: Laws) -> Rows:
    over = tuple(law.over or space_dims(data, law.of))
    rows = _left(data, law.of, over)
    sizes, layers = sizes_and_layers(data, law.of, over, law.weights, laws)
    sizes, unit = _scaled(sizes.broadcast_like(_shape(data, law.of, over)))
    mean = isinstance(law, Mean)
    terms = [term(data, law.of, sizes, rows, over, layers)]
    unit = 1.0 if mean else unit
    return _rows(law, laws, terms, rows, unit, equals=law.equals, mean=mean)


def _shape(data: Any, name: str, over: Sequence[str]) -> Any:
    """Return an array of zeros along some dimensions of a variable."""
    dims = [d for d in map(str, data[name].dims) if d in over]
    return xr.DataArray(np.zeros([data.sizes[d] for d in dims]), dims=dims)


def _dry_air(law: DryAir, data: Any, whole: Any, laws: Laws) -> Rows:
    over = space_dims(data, law.of)
    rows = _left(data, law.of, over)
    area, unit = _scaled(cell_sizes(data, law.of, over, law.weights, laws))
    layers = Layers.of(layers_of(law, data), laws, law.water)
    terms = [term(data, law.of, area, rows, over, layers)]
    return _rows(law, laws, terms, rows, unit, equals=law.equals)


def _block_mean(law: BlockMean, data: Any, whole: Any, laws: Laws) -> Rows:
    pairs = block_dims(data, law)
    sizes = cell_sizes(data, law.of, tuple(pairs), law.weights, laws)
    sizes, _ = _scaled(sizes.broadcast_like(_shape(data, law.of, tuple(pairs))))
    coarse = data[law.like]
    rows = {str(d): n for d, n in coarse.sizes.items()}
    array = data[law.of]
    number = block_numbers(data, coarse, pairs, array.dims, array.shape)
    terms = [term(data, law.of, sizes, rows, tuple(pairs), number=number)]
    return _rows(law, laws, terms, rows, equals=law.like, mean=True)


def _sum(law: Sum, data: Any, whole: Any, laws: Laws) -> Rows:
    rows = _joint(data, [t.of for t in law.of])
    terms = [_times(data, t, rows, _ONE) for t in law.of]
    return _rows(law, laws, terms, rows, equals=law.equals)


def _order(law: Order, data: Any, whole: Any, laws: Laws) -> Rows:
    rows = _joint(data, [law.lesser, law.greater])
    both = (Term(law.lesser), Term(law.greater, -1.0))
    terms = [_times(data, t, rows, _ONE) for t in both]
    return _rows(law, laws, terms, rows, equals=0.0, below=True)


def _joint(data: Any, names: Sequence[str]) -> dict[str, int]:
    """Return all dimensions of several variables."""
    return {str(d): n for name in names for d, n in data[name].sizes.items()}


def _times(data: Any, each: Term, rows: dict[str, int], factor: float) -> Any:
    """Return a term with one entry at every point."""
    size = xr.DataArray(float(each.times) * factor)
    return term(data, each.of, size, rows, (), given=each.given)


def _budget(law: Budget, data: Any, whole: Any, laws: Laws) -> Rows:
    over = summed(law, data)
    rows = _joint(data, [law.storage])
    rows = {d: n for d, n in rows.items() if d not in over}
    weights = law.weights if over else None
    sizes, layers = sizes_and_layers(data, law.storage, over, weights, laws)
    sizes, unit = _scaled(sizes.broadcast_like(_shape(data, law.storage, over)))
    stored = term(data, law.storage, sizes, rows, over, layers)
    live = data[law.storage].variable.notnull()
    live = xr.DataArray(live.values.astype(np.float64), dims=live.dims)
    step = _step(law, whole)
    fluxes = []
    for sign, several in ((-1.0, law.inflow), (1.0, law.outflow)):
        for each in several:
            own = tuple(d for d in over if d in data[each.of].dims)
            extra = [d for d in data[each.of].dims if d not in (*rows, *own)]
            require(
                not extra,
                f"dimensions of {each.of!r} among those of {law.storage!r}",
                extra,
                "sum over them first",
            )
            column = live.max([d for d in over if d not in own])
            missing = data[each.of].variable.isnull()
            unknown = int((column * xr.DataArray(missing, dims=missing.dims)).sum())
            require(
                unknown == 0,
                f"{each.of!r} wherever {law.storage!r} has a value",
                f"{unknown} missing in the template",
                "fill them by zero",
            )
            weights = law.weights if own else None
            size, deep = sizes_and_layers(data, each.of, own, weights, laws)
            size = size * column * (sign * each.times * step / unit)
            fluxes.append(term(data, each.of, size, rows, own, deep, each.given))
    early = law.fluxes == "start"
    terms = [stored] if early else [stored, *fluxes]
    rates = fluxes if early else []
    return _rows(law, laws, terms, rows, unit, rates=rates, kind="budget")


def _step(law: Budget, whole: Any) -> float:
    """Return the length of a step of the roll-out."""
    if law.step is not None:
        return float(law.step)
    known = law.time in whole.sizes and whole.sizes[law.time] >= 2
    require(
        known,
        f"the length of a step, for {title(law)!r}",
        "a template without two times",
        "say it (step: 21600)",
    )
    steps = np.asarray(step_lengths(whole, law).values)
    require(
        bool(np.allclose(steps, steps[0], rtol=1e-9)),
        "steps of one length in a roll-out",
        f"{steps.min():.6g} to {steps.max():.6g}",
        "say the length (step: 21600)",
    )
    return float(steps[0])


_MAKERS: dict[type, Callable[..., Rows]] = {
    Total: _total,
    Mean: _total,
    DryAir: _dry_air,
    BlockMean: _block_mean,
    Sum: _sum,
    Order: _order,
    Budget: _budget,
}
