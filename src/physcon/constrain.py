"""Constrain the predictions in a file: the work of `physcon constrain FILE`."""

from collections.abc import Callable
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._files import check_output
from physcon._predictions import (
    Law,
    Names,
    Predictions,
    Report,
    batch_shape,
    check,
    check_reach,
    joined,
    read_predictions,
    target,
)
from physcon._status import Outcome, settle
from physcon._typing import Array
from physcon.conditioning import Bounded, Gaussian, bounded, condition, integral
from physcon.grid import Grid
from physcon.io import write_arrays

__all__ = ["Law", "Names", "Report", "constrain_file"]

Arrays = dict[str, np.ndarray]
_POINTS_AT_ONCE = 2**21


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
    check_output(Path(output), Path(predictions), force=force)
    check(law)
    data = read_predictions(predictions, names)
    total = target(law.integral, data, predictions)
    report = _constrain(law, data, total)
    arrays = data.output(names)
    if not data.ensemble and names.samples in data.present:
        members = read_predictions(predictions, names, members=True)
        total = target(law.integral, members, predictions)
        report = joined(report, _constrain(law, members, total))
        arrays[names.samples] = members.output(names)[names.samples]
    write_arrays(output, arrays, like=predictions, force=force)
    return report


def _constrain(law: Law, data: Predictions, total: np.ndarray) -> Report:
    """Condition block by block, in place: no second copy of the data is made."""
    lower, upper = law.bounds
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
        check_reach(law, weights, totals)
        conditioned = _conditioned(law, grid)
        for start in range(0, len(fields), step):
            part = slice(start, start + step)
            old = np.array(fields[part], dtype=np.float64)  # a copy
            std = rows.std[rows.index[part]].astype(np.float64)
            new, new_std, outcome = conditioned(
                jnp.asarray(old), jnp.asarray(std), jnp.asarray(targets[part])
            )
            settle((), outcome, throw=True)
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


def _conditioned(law: Law, grid: Grid) -> Callable[..., tuple[Array, Array, Outcome]]:
    """Return a compiled function of means, stds ``(n, *x)`` and totals ``(n,)``.

    The caller judges the outcome: a program that raises by itself calls the host, and
    JAX keeps no such program in its compilation cache.
    """
    lower, upper = law.bounds
    box = bool(np.isfinite(lower) or np.isfinite(upper))

    def one(mean: Array, std: Array, total: Array) -> tuple[Array, Array, Outcome]:
        prior = Gaussian.diagonal(mean, std)
        constraint = integral(grid, total, law.noise_std, rule=law.rule)
        if box:
            found = bounded(prior, constraint, lower, upper, throw=False)
        else:
            found = condition(prior, constraint, throw=False)
        mean = found.mean if isinstance(found, Bounded) else found.posterior.mean
        return mean, found.posterior.std(), found.outcome

    return eqx.filter_jit(jax.vmap(one))
