"""A fixer from laws and a template dataset."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from physcon._checks import require
from physcon.datasets._axes import is_time
from physcon.datasets._laws import Laws
from physcon.datasets._names import changed_names, check_names
from physcon.datasets._parse import laws as as_laws
from physcon.datasets.rollouts._fields import static_arrays
from physcon.datasets.rollouts._fixer import Fixer
from physcon.datasets.rollouts._laws_in_steps import step_rows
from physcon.datasets.rollouts._points import Bounds, Fixed, points_of
from physcon.datasets.rollouts._rows import Rows
from physcon.datasets.rollouts._spreads import Spread, spreads_of
from physcon.datasets.rollouts._step import Places


def fixer(
    laws: Any, template: Any, spread: Any = None, *, throw: bool = False, **options: Any
) -> Fixer:
    """Return pure functions that make every state of a roll-out obey laws.

    They work under `jax.jit`, `jax.vmap`, `jax.grad` and `jax.lax.scan`. A target
    ``initial`` means the state given to `init`; a budget is integrated from step
    to step. Targets keep the digits of float64: rounding does not add up.

    Args:
        laws: see `physcon.datasets.laws`. Given terms, and variables that a law names,
            are looked for in the forcings, in the state, and in the template.
        template: an `xarray.Dataset` with all variables of the laws on a state's
            dimensions; the first time is used. Its missing values stay missing.
        spread: how uncertain each variable is, see `physcon.datasets.constrain`.
        throw: whether a step raises where `Fixer.apply` finds no state.
        **options: `coordinates`, `radius`, `gravity` or `seed`, see `Laws`.

    Raises:
        ValueError: a variable is missing, or the template does not say where it lives.

    >>> import numpy as np, xarray as xr
    >>> template = xr.Dataset({"q": ("x", np.ones(3, np.float32))})
    >>> law = "total: {of: q, equals: initial, weights: equal}"
    >>> init, apply = fixer(law, template, spread=1.0)
    >>> carried = init({"q": np.float32([1, 2, 3])})
    >>> carried, state = apply(carried, {"q": np.float32([2, 3, 4])})
    >>> state["q"].tolist()
    [1.0, 2.0, 3.0]
    """
    laws = as_laws(laws, spread=spread, **options)
    check_names(template, laws)
    times = [str(d) for d in template.dims if is_time(template, str(d))]
    data = template.isel({d: 0 for d in times})
    spreads = spreads_of(laws, data)
    made = (step_rows(law, data, template, laws) for law in laws.laws)
    rows = tuple(r for r in made if r is not None)
    start, size = _starts(spreads, data)
    _check_known(rows, start)
    points = [points_of(law, data) for law in laws.laws]
    fixed = tuple(p for p in points if isinstance(p, Fixed))
    bounds = tuple(p for p in points if isinstance(p, Bounds))
    moving = _moving(laws, rows)
    steady = _steady(data, moving, rows, spreads, bounds, fixed)
    constant = [n for n in steady if not _in_time(template, n, times)]
    return Fixer(
        rows=rows,
        spreads=spreads,
        bounds=bounds,
        fixed=fixed,
        inside={n: _inside(data[n]) for n in moving},
        constants=static_arrays(data, constant),
        equal=Places.of(rows, start, size, below=False),
        below=Places.of(rows, start, size, below=True),
        start=start,
        dims={n: tuple(map(str, data[n].dims)) for n in (*moving, *steady)},
        shapes={n: tuple(data[n].shape) for n in (*moving, *steady)},
        seed=laws.seed,
        throw=throw,
    )


def _moving(laws: Laws, rows: Sequence[Rows]) -> list[str]:
    """Return the variables that every step must bring: those in laws and in weights."""
    layers = [t.layers for r in rows for t in (*r.terms, *r.rates) if t.layers]
    weights = [n for each in layers for n in (each.pressure, *each.water)]
    return list(dict.fromkeys([*changed_names(laws), *weights]))


def _starts(spreads: Sequence[Spread], data: Any) -> tuple[dict[str, int], int]:
    """Where each variable starts among all points, and the number of points."""
    start: dict[str, int] = {}
    size = 0
    for each in spreads:
        start[each.name] = size
        size += int(data[each.name].size)
    return start, size


def _steady(
    data: Any,
    moving: Sequence[str],
    rows: Sequence[Rows],
    spreads: Sequence[Spread],
    bounds: Sequence[Bounds],
    fixed: Sequence[Fixed],
) -> list[str]:
    """Return the variables that may be constant: targets, bounds, masks and spreads.

    Raises:
        ValueError: the template lacks one of them, or one of `moving`.
    """
    found: list[Any] = [r.equals for r in rows]
    found += [s.value for s in spreads if s.kind == "variable"]
    found += [end for b in bounds for end in (b.lower, b.upper)]
    found += [end for f in fixed for end in (f.where, f.equals)]
    steady = list(dict.fromkeys(n for n in found if isinstance(n, str)))
    absent = [n for n in (*moving, *steady) if n not in data.variables]
    require(not absent, "all variables of the laws", f"none named {absent}", "add them")
    return [n for n in steady if n not in moving]


def _inside(variable: Any) -> np.ndarray:
    """Where a variable of the template is not missing."""
    return ~np.isnan(np.asarray(variable.values, np.float64))


def _in_time(template: Any, name: str, times: Sequence[str]) -> bool:
    """Whether a variable of the template changes in time."""
    return any(d in template[name].dims for d in times)


def _check_known(rows: Sequence[Rows], start: Mapping[str, int]) -> None:
    """Refuse laws that multiply two variables that a step may change."""
    for term in (t for row in rows for t in row.terms):
        if term.layers is None:
            continue
        known = term.layers.water or (term.layers.pressure,)
        moved = [n for n in known if n in start]
        require(
            not moved,
            f"known values of {moved} in a law of {term.name!r}",
            "a spread for both",
            "use two fixers, one after the other",
        )
