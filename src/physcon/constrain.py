"""Constrain the predictions in a file: the work of `physcon constrain FILE`."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._checks import require
from physcon._predictions import (
    Names,
    Predictions,
    batch_shape,
    read_predictions,
    target,
)
from physcon._typing import Array
from physcon.conditioning import Bounded, Gaussian, bounded, condition, integral
from physcon.grid import Grid
from physcon.io import write_arrays
from physcon.quadrature import Rule

__all__ = ["Law", "Names", "Report", "constrain_file"]

Arrays = dict[str, np.ndarray]
_POINTS_AT_ONCE = 2**21


@dataclass(frozen=True)
class Law:
    """The law that the predictions have to obey.

    Attributes:
        integral: the conserved total: a number, or the name of an array in the file
            with one value per time (or per other batch entry).
        rule: quadrature for nodal values: trapezoid (default), simpson or spline.
        noise_std: standard deviation of the total, such as the size of the quadrature
            error; None: the total is exact.
        lower: lower bound on every point; None: no lower bound.
        upper: upper bound on every point; None: no upper bound.
        seed: random seed of the perturbed totals of an ensemble, which are used only
            if there is a noise_std.
    """

    integral: str
    rule: Rule | None = None
    noise_std: float | None = None
    lower: float | None = None
    upper: float | None = None
    seed: int = 0


class Report(NamedTuple):
    """The changes in a file.

    Attributes:
        error_before: largest error of the integral, in its own units.
        error_after: the same for the numbers that were written, judged in float64.
        out_of_bounds_before: number of points outside of the bounds.
        largest_change: largest change of a point, in units of its std.
        mean_change: mean change of all points, in units of their std.
    """

    error_before: float
    error_after: float
    out_of_bounds_before: int
    largest_change: float
    mean_change: float

    def __str__(self) -> str:
        lines = [
            f"largest conservation error   before {self.error_before:.3e}   "
            f"after {self.error_after:.3e}",
            "points out of bounds         "
            f"before {self.out_of_bounds_before}   after 0",
            f"change of the prediction     mean {self.mean_change:.3g} std   "
            f"largest {self.largest_change:.3g} std",
        ]
        if self.largest_change > 10:
            lines.append(
                "some values changed by more than 10 std: "
                "check the units of the integral and the size of the std"
            )
        return "\n".join(lines)


def constrain_file(
    predictions: str | Path,
    output: str | Path,
    law: Law,
    names: Names | None = None,
    force: bool = False,
) -> Report:
    """Condition the predictions in a file on a law, and write a file of that layout.

    Every time (or other batch entry) is conditioned separately. The members of an
    ensemble are conditioned one by one with the variance of the ensemble (Matheron's
    rule), so that each member obeys the law; if the total is uncertain, each member
    gets its own perturbed total, so that the spread of the members is right. A file
    with a mean and members gets both conditioned.

    The arithmetic is in float64. Results are written in the type that the file has.

    Raises:
        ValueError: the file or the law is unusable. Nothing is written then.
    """
    names = names or Names()
    if not force:
        require(
            not Path(output).exists(),
            "a new file",
            f"{output} exists",
            "choose another name, or replace the file by --force",
        )
    _check(law)
    data = read_predictions(predictions, names)
    total = target(law.integral, data, predictions)
    report = _constrain(law, data, total)
    arrays = data.output(names)
    if not data.ensemble and names.samples in data.present:
        members = read_predictions(predictions, names, members=True)
        total = target(law.integral, members, predictions)
        report = _joined(report, _constrain(law, members, total))
        arrays[names.samples] = members.output(names)[names.samples]
    write_arrays(output, arrays, like=predictions, force=force)
    return report


def _joined(mean: Report, members: Report) -> Report:
    """Return one report for a mean and the members next to it."""
    return Report(
        max(mean.error_before, members.error_before),
        max(mean.error_after, members.error_after),
        mean.out_of_bounds_before + members.out_of_bounds_before,
        max(mean.largest_change, members.largest_change),
        mean.mean_change,
    )


def _check(law: Law) -> None:
    low, high = _bounds(law)
    require(low < high, "lower < upper", f"[{low}, {high}]", "swap the bounds")
    noise = law.noise_std
    require(
        noise is None or (np.isfinite(noise) and noise >= 0),
        "noise_std >= 0",
        noise,
        "pass a standard deviation, or leave it out for an exact law",
    )


def _bounds(law: Law) -> tuple[float, float]:
    lower = -np.inf if law.lower is None else law.lower
    upper = np.inf if law.upper is None else law.upper
    return lower, upper


def _constrain(law: Law, data: Predictions, total: np.ndarray) -> Report:
    """Condition block by block, in place: no second copy of the data is made."""
    lower, upper = _bounds(law)
    fields = data.mean.reshape(-1, *data.shape)
    rows = data.rows()
    batch = batch_shape(data)
    totals = np.broadcast_to(total, batch).reshape(-1)
    targets = totals
    if data.ensemble and law.noise_std:
        targets = (total + _perturbations(law, batch)).reshape(-1)
    step = max(1, _POINTS_AT_ONCE // int(np.prod(data.shape)))
    errors_before: list[float] = []
    errors_after: list[float] = []
    largest = 0.0
    changed = 0.0
    outside = 0
    with jax.enable_x64(True):
        grid = data.grid()
        weights = np.asarray(grid.weights(law.rule), dtype=np.float64)
        _check_reach(law, weights, totals)
        conditioned = _conditioned(law, grid)
        for start in range(0, len(fields), step):
            part = slice(start, start + step)
            old = np.array(fields[part], dtype=np.float64)  # a copy
            std = rows.std[rows.index[part]].astype(np.float64)
            new, new_std = conditioned(
                jnp.asarray(old), jnp.asarray(std), jnp.asarray(targets[part])
            )
            fields[part] = np.asarray(new).astype(data.dtype)
            written = np.asarray(fields[part], dtype=np.float64)
            if not data.ensemble:
                rows.std[part] = np.asarray(new_std)
            axes = tuple(range(1, old.ndim))
            for u, errors in ((old, errors_before), (written, errors_after)):
                missed = np.abs((u * weights).sum(axes) - totals[part])
                errors.append(float(missed.max()))
            change = np.abs(written - old) / np.where(std > 0, std, np.inf)
            largest = max(largest, float(change.max()))
            changed += float(change.sum())
            outside += int(np.sum((old < lower) | (old > upper)))
    return Report(
        max(errors_before, default=0.0),
        max(errors_after, default=0.0),
        outside,
        largest,
        changed / max(1, data.mean.size),
    )


def _perturbations(law: Law, batch: tuple[int, ...]) -> np.ndarray:
    """Draw one error of the total per member (axis 0), with mean zero over members."""
    assert law.noise_std is not None
    draws = np.random.default_rng(law.seed).standard_normal(batch)
    draws -= draws.mean(0)
    return law.noise_std * np.sqrt(batch[0] / (batch[0] - 1)) * draws


def _check_reach(law: Law, weights: np.ndarray, totals: np.ndarray) -> None:
    """Refuse totals that no field within the bounds can have."""
    lower, upper = _bounds(law)
    if law.noise_std is not None or not (np.isfinite(lower) or np.isfinite(upper)):
        return
    ends = [np.where(weights != 0, weights * end, 0) for end in (lower, upper)]
    low = np.minimum(*ends).sum()
    high = np.maximum(*ends).sum()
    require(
        bool(np.all((totals >= low) & (totals <= high))),
        f"integrals within the bounds' reach [{low:.6g}, {high:.6g}]",
        f"[{totals.min():.6g}, {totals.max():.6g}]",
        "widen the bounds or correct the integral",
    )


def _conditioned(law: Law, grid: Grid) -> Callable[..., tuple[Array, Array]]:
    """Return a compiled function of means, stds ``(n, *x)`` and totals ``(n,)``."""
    lower, upper = _bounds(law)
    box = bool(np.isfinite(lower) or np.isfinite(upper))

    def one(mean: Array, std: Array, total: Array) -> tuple[Array, Array]:
        prior = Gaussian.diagonal(mean, std)
        constraint = integral(grid, total, law.noise_std, rule=law.rule)
        if box:
            found = bounded(prior, constraint, lower, upper)
        else:
            found = condition(prior, constraint)
        mean = found.mean if isinstance(found, Bounded) else found.posterior.mean
        return mean, found.posterior.std()

    return eqx.filter_jit(jax.vmap(one))
