"""Predictions of any model, file in and file out: `physcon constrain`."""

from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._typing import Array
from physcon.conditioning import Bounded, Gaussian, bounded, condition, integral
from physcon.grid import Grid
from physcon.io import read_arrays, read_dimensions, write_arrays
from physcon.quadrature import Rule

Arrays = dict[str, np.ndarray]
_POINTS_AT_ONCE = 2**22


@dataclass(frozen=True)
class Names:
    """Names of the arrays in the file.

    Attributes:
        mean: predicted mean, ``(*batch, *x)``: space axes last.
        std: its standard deviation, same shape.
        variance: its variance, if there is no `std`.
        samples: an ensemble ``(members, *batch, *x)``, if there is no `mean`.
        coordinates: one 1-D array per space axis; n values are nodes (the array holds point
            values), n + 1 values are cell faces (the array holds cell averages).
    """

    mean: str = "mean"
    std: str = "std"
    variance: str = "variance"
    samples: str = "samples"
    coordinates: tuple[str, ...] | str = ("x",)

    def axes(self) -> tuple[str, ...]:
        """`coordinates`, one name per space axis."""
        given = self.coordinates
        return (given,) if isinstance(given, str) else given


@dataclass(frozen=True)
class Law:
    """What the predictions shall obey.

    Attributes:
        integral: the conserved total: a number, or the name of an array in the file that broadcasts
            against the batch axes, e.g. one value per time.
        rule: quadrature for nodal values: trapezoid (default), simpson or spline.
        noise_std: None: exactly; else the standard deviation of the total, e.g. the size of the
            quadrature error.
        lower, upper: bounds on every point.
    """

    integral: str
    rule: Rule | None = None
    noise_std: float | None = None
    lower: float | None = None
    upper: float | None = None


class Report(NamedTuple):
    """What changed: conservation errors in the units of the integral, changes in units
    of std.
    """

    error_before: float
    error_after: float
    out_of_bounds_before: int
    largest_change: float
    mean_change: float

    def __str__(self) -> str:
        far = "a change beyond 10 std: check the units of the integral, and whether std is honest"
        return "\n".join(
            [
                f"largest conservation error   before {self.error_before:.3e}   "
                f"after {self.error_after:.3e}",
                f"points out of bounds         before {self.out_of_bounds_before}   after 0",
                f"change of the prediction     mean {self.mean_change:.3g} std   "
                f"largest {self.largest_change:.3g} std",
                *([far] if self.largest_change > 10 else []),
            ]
        )


def constrain_file(
    predictions: str | Path,
    output: str | Path,
    law: Law,
    names: Names | None = None,
    force: bool = False,
) -> Report:
    """Read predictions, condition them on the law, and write the same layout to
    `output`.

    Every time (batch entry) is conditioned on its own. An ensemble is conditioned
    member by member with the ensemble's variance (Matheron's rule), so that each member
    obeys the law.

    Raises: ValueError: whatever is wrong with the file or the law, before anything is
        written.
    """
    names = names or Names()
    if not force:
        require(
            not Path(output).exists(), "a new file", f"{output} exists", "add --force"
        )
    arrays = read_arrays(predictions)
    present = ", ".join(sorted(arrays)) or "no arrays"
    for name in names.axes():
        require(
            name in arrays,
            f"coordinates {name!r}",
            present,
            "name them: --names.coordinates",
        )
    mean, std, spread, ensemble = _prediction(arrays, names, present)
    dimensions = read_dimensions(predictions)
    _check_order(
        dimensions.get(names.samples if ensemble else names.mean), dimensions, names
    )
    # Same arithmetic as the file: float64 stays float64.
    with jax.enable_x64(mean.dtype == np.float64):
        grid = _grid(arrays, names, mean.shape)
        batch = mean.shape[ensemble : mean.ndim - grid.ndim]
        mass = _mass(law, arrays, batch, present)
        new_mean, new_std = _constrain(law, grid, mean, std, mass)
        error = np.asarray(grid.integrate(jnp.asarray(mean), law.rule)) - mass
        error_after = np.asarray(grid.integrate(jnp.asarray(new_mean), law.rule)) - mass
    if ensemble:
        out: Arrays = {names.samples: new_mean}
    else:
        out = {
            names.mean: new_mean,
            spread: new_std**2 if spread == names.variance else new_std,
        }
    write_arrays(output, out, like=predictions, force=force)
    change = np.abs(new_mean - mean) / std
    low, up = _bounds(law)
    outside = int(np.sum((mean < low) | (mean > up)))
    return Report(
        float(np.abs(error).max()),
        float(np.abs(error_after).max()),
        outside,
        float(change.max()),
        float(change.mean()),
    )


def _prediction(
    arrays: Arrays, names: Names, present: str
) -> tuple[np.ndarray, np.ndarray, str, bool]:
    """Mean (or samples), std of the same shape, the spread's name, whether it is an
    ensemble.
    """
    ensemble = names.mean not in arrays
    name = names.samples if ensemble else names.mean
    require(
        name in arrays, f"{names.mean!r} or {names.samples!r}", present, "see --names"
    )
    mean = arrays[name]
    mean = mean if mean.dtype == np.float64 else mean.astype(np.float32)
    if ensemble:
        require(
            mean.shape[0] >= 2,
            "2 or more members",
            mean.shape[0],
            "give a mean and a std",
        )
        spread = names.samples
        std = np.broadcast_to(np.std(mean, axis=0, ddof=1), mean.shape)
    else:
        spread = names.std if names.std in arrays else names.variance
        require(
            spread in arrays,
            f"{names.std!r} or {names.variance!r}",
            present,
            "see --names",
        )
        std = arrays[spread].astype(mean.dtype)
        require(
            std.shape == mean.shape,
            f"{spread!r} of shape {mean.shape}",
            std.shape,
            "reshape",
        )
    for label, a in ((name, mean), (spread, std)):
        bad = int(np.sum(~np.isfinite(a)))
        require(
            bad == 0,
            f"finite values in {label!r}",
            f"{bad} NaN or infinite",
            "fill or drop",
        )
    bad = int(np.sum(std <= 0))
    require(
        bad == 0,
        f"a positive {spread!r}",
        f"{bad} values <= 0",
        "every point needs a spread",
    )
    return mean, np.sqrt(std) if spread == names.variance else std, spread, ensemble


def _check_order(
    field: tuple[str, ...] | None, dimensions: dict[str, tuple[str, ...]], names: Names
) -> None:
    """Refuse a NetCDF field whose space axes, known by name, are not the last ones."""
    space = tuple(d for name in names.axes() for d in dimensions.get(name, ()))
    if field is not None and set(space) <= set(field):
        remedy = (
            "transpose the file (xarray: data.transpose), or see --names.coordinates"
        )
        require(
            field[len(field) - len(space) :] == space,
            f"last axes {space}",
            field,
            remedy,
        )


def _grid(arrays: Arrays, names: Names, shape: tuple[int, ...]) -> Grid:
    axes = [arrays[name] for name in names.axes()]
    for name, a in zip(names.axes(), axes, strict=True):
        require(
            a.ndim == 1, f"1-D coordinates {name!r}", a.shape, "give one axis per name"
        )
        sorted_ = bool(np.all(np.diff(a) > 0))
        require(
            sorted_,
            f"increasing coordinates {name!r}",
            "unsorted or repeated ones",
            "sort",
        )
    space = shape[len(shape) - len(axes) :]
    sizes = tuple(a.size for a in axes)
    expected = (
        f"coordinates of {space} (nodes) or {tuple(n + 1 for n in space)} (cell faces)"
    )
    remedy = f"space axes come last, in the order {names.axes()}"
    faces = sizes == tuple(n + 1 for n in space)
    require(
        len(space) == len(axes) and (faces or sizes == space), expected, sizes, remedy
    )
    return Grid.cells(*axes) if faces else Grid.nodes(*axes)


def _mass(law: Law, arrays: Arrays, batch: tuple[int, ...], present: str) -> np.ndarray:
    try:
        mass = np.asarray(float(law.integral))
    except ValueError:
        require(
            law.integral in arrays,
            f"a number or an array {law.integral!r}",
            present,
            "name it",
        )
        mass = arrays[law.integral]
    require(
        bool(np.all(np.isfinite(mass))),
        "a finite integral",
        "NaN or infinity",
        "fill it",
    )
    fits = mass.ndim <= len(batch) and all(
        m in (1, n) for m, n in zip(mass.shape[::-1], batch[::-1], strict=False)
    )
    require(
        fits,
        f"an integral that broadcasts to {batch}",
        mass.shape,
        "one per batch entry",
    )
    return np.broadcast_to(mass, batch)


def _bounds(law: Law) -> tuple[float, float]:
    lower = -np.inf if law.lower is None else law.lower
    upper = np.inf if law.upper is None else law.upper
    require(lower < upper, "lower < upper", f"[{lower}, {upper}]", "swap the bounds")
    return lower, upper


def _constrain(
    law: Law, grid: Grid, mean: np.ndarray, std: np.ndarray, mass: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    lower, upper = _bounds(law)
    noise = law.noise_std
    require(
        noise is None or noise >= 0,
        "noise_std >= 0",
        noise,
        "a standard deviation, or none",
    )
    box = np.isfinite(lower) or np.isfinite(upper)
    if box and law.noise_std is None:
        weights = np.asarray(grid.weights(law.rule), dtype=np.float64)
        ends = [np.where(weights != 0, weights * end, 0) for end in (lower, upper)]
        low, high = np.minimum(*ends).sum(), np.maximum(*ends).sum()
        within = bool(np.all((mass >= low) & (mass <= high)))
        reach = f"[{mass.min():.6g}, {mass.max():.6g}]"
        remedy = "widen the bounds or correct the integral"
        require(
            within,
            f"integrals within the bounds' reach [{low:.6g}, {high:.6g}]",
            reach,
            remedy,
        )

    def one(mean: Array, std: Array, mass: Array) -> tuple[Array, Array]:
        prior = Gaussian.diagonal(mean, std)
        constraint = integral(grid, mass, law.noise_std, law.rule)
        found = (
            bounded(prior, constraint, lower, upper)
            if box
            else condition(prior, constraint)
        )
        mean = found.mean if isinstance(found, Bounded) else found.posterior.mean
        return mean, found.posterior.std()

    # As many fields at once as keep the memory near that of the file.
    at_once = max(1, _POINTS_AT_ONCE // grid.size)

    def all_of(*fields: Array) -> tuple[Array, Array]:
        if fields[0].shape[0] <= at_once:
            return jax.vmap(one)(*fields)
        return jax.lax.map(lambda field: one(*field), fields, batch_size=at_once)

    flat = (-1, *grid.shape)
    masses = np.broadcast_to(mass, mean.shape[: mean.ndim - grid.ndim]).reshape(-1)
    new = eqx.filter_jit(all_of)(
        jnp.asarray(mean.reshape(flat)),
        jnp.asarray(std.reshape(flat)),
        jnp.asarray(masses.astype(mean.dtype)),
    )
    new_mean, new_std = (np.asarray(a).reshape(mean.shape) for a in new)
    return new_mean, new_std
