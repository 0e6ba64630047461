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

        fixer = pcd.fixer(laws, template, spread="uniform")
        carried = fixer.init(state)
        carried, state = fixer.apply(carried, model(state), forcings)

    They work under `jax.jit`, `jax.vmap`, `jax.grad` and `jax.lax.scan`. A target
    ``initial`` is the value of the state that `init` was given. A budget is integrated:
    what is stored after a step is what was stored before it plus inflow minus outflow.
    Targets are carried with the digits of float64, so that rounding does not add up.

    Args:
        laws: see `physcon.datasets.laws`. Given terms, and variables that a law names,
            are looked for in the forcings, in the state, and in the template.
        template: an `xarray.Dataset` with all variables that the laws name, on the
            dimensions of a state; the first of several times is used. Values that are
            missing in it, such as land, are never used or changed.
        spread: how uncertain each variable is, see `physcon.datasets.constrain`.
        throw: whether a step raises if no state obeys the laws; see `Fixer.apply`.
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
    made = [step_rows(law, data, template, laws) for law in laws.laws]
    rows = tuple(r for r in made if r is not None)
    points = [points_of(law, data) for law in laws.laws]
    start: dict[str, int] = {}
    size = 0
    for each in spreads:
        start[each.name] = size
        size += int(data[each.name].size)
    for row in rows:
        _check_known(row, start)
    fixed = tuple(p for p in points if isinstance(p, Fixed))
    bounds = tuple(p for p in points if isinstance(p, Bounds))
    moving = _moving(laws, rows)
    steady = _steady(rows, spreads, bounds, fixed)
    absent = [n for n in (*moving, *steady) if n not in data.variables]
    require(not absent, "all variables of the laws", f"none named {absent}", "add them")
    steady = [n for n in steady if n not in moving]
    names = [*moving, *steady]
    constant = [n for n in steady if not _in_time(template, n, times)]
    return Fixer(
        rows=rows,
        spreads=spreads,
        bounds=bounds,
        fixed=fixed,
        inside={n: ~np.isnan(np.asarray(data[n].values, np.float64)) for n in moving},
        constants=static_arrays(data, constant),
        equal=Places.of(rows, start, size, below=False),
        below=Places.of(rows, start, size, below=True),
        start=start,
        dims={n: tuple(map(str, data[n].dims)) for n in names},
        shapes={n: tuple(data[n].shape) for n in names},
        seed=laws.seed,
        throw=throw,
    )


def _moving(laws: Laws, rows: Sequence[Rows]) -> list[str]:
    """Return the variables that every step must bring: those in laws and in weights."""
    layers = [t.layers for r in rows for t in (*r.terms, *r.rates) if t.layers]
    weights = [n for each in layers for n in (each.pressure, *each.water)]
    return list(dict.fromkeys([*changed_names(laws), *weights]))


def _steady(
    rows: Sequence[Rows],
    spreads: Sequence[Spread],
    bounds: Sequence[Bounds],
    fixed: Sequence[Fixed],
) -> list[str]:
    """Return the variables that may be constant: targets, bounds, masks and spreads."""
    found: list[Any] = [r.equals for r in rows]
    found += [s.value for s in spreads if s.kind == "variable"]
    found += [end for b in bounds for end in (b.lower, b.upper)]
    found += [end for f in fixed for end in (f.where, f.equals)]
    return list(dict.fromkeys(n for n in found if isinstance(n, str)))


def _in_time(template: Any, name: str, times: Sequence[str]) -> bool:
    """Whether a variable of the template changes in time."""
    return any(d in template[name].dims for d in times)


def _check_known(row: Rows, start: Mapping[str, int]) -> None:
    """Refuse laws that multiply two variables that a step may change."""
    for term in row.terms:
        if term.layers is None:
            continue
        water = term.layers.water
        known = water or (term.layers.pressure,)
        moved = [n for n in known if n in start]
        require(
            not moved,
            f"known values of {moved} in a law of {term.name!r}",
            "a spread for both",
            "use two fixers, one after the other",
        )
