"""The boundary studies: train every method on the same functions, score, and draw.

Source:
    Saad et al., Guiding continuous operator learning through physics-based boundary
    constraints, ICLR 2023, section 4: one step in time from the initial state, and
    fields over time.
"""

from collections.abc import Mapping
from pathlib import Path

import jax
import numpy as np

from physcon import report
from physcon._mesh import is_writer
from physcon.io import write_arrays
from physcon.operators import BoundaryFNO, form_for
from physcon.studies.boon.data import answer_times, samples, space_axes, study_grid
from physcon.studies.boon.networks import Errors, evaluated, exists, trained
from physcon.studies.boon.settings import BoonConfig, Method
from physcon.studies.session import Session


def run(
    config: BoonConfig,
    session: Session = Session(),
) -> list[report.BoundaryRow]:
    """Train and score every method that exists for the conditions of the problem.

    Checkpoints, tables and figures go to the session's folder, if it has one. The
    devices of its mesh share the training, and process 0 evaluates.

    Returns:
        The rows of the table; no rows on other processes.
    """
    session = session.of(config)
    grid = study_grid(config)
    keys = jax.random.split(jax.random.key(config.data_seed), 3)
    train = samples(keys[0], config, config.train, session.mesh)
    networks: dict[Method, BoundaryFNO] = {}
    losses: dict[str, np.ndarray] = {}
    default = form_for(train.boundary)
    for method in methods_of(config, default):
        session.say(f"{config.problem}: {method}")
        found = trained(method, config, grid, train, keys[2], session)
        networks[method] = found.params
        losses[method] = np.asarray(found.losses) / len(config.seeds)
    if not is_writer():
        return []
    test = samples(keys[1], config, config.test)
    errors: dict[Method, Errors] = {}
    predictions: dict[str, np.ndarray] = {}
    for method, network in networks.items():
        errors[method], u = evaluated(network, method, config, grid, test)
        predictions[method] = u[0]
    rows = table(errors, default)
    if session.folder is not None:
        truth = np.asarray(test.answer[0, 0])
        _write(config, session.folder, rows, losses, truth, predictions, errors)
    return rows


def methods_of(config: BoonConfig, default: Method) -> list[Method]:
    """The methods of the settings that exist for the problem, each of them once."""
    named: list[Method] = [default if m == "default" else m for m in config.methods]
    return [method for method in dict.fromkeys(named) if exists(method, config)]


def _write(
    config: BoonConfig,
    folder: Path,
    rows: list[report.BoundaryRow],
    losses: dict[str, np.ndarray],
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    errors: Mapping[Method, Errors],
) -> None:
    """Write tables, arrays and figures."""
    report.write_boundary_tables(folder, rows)
    write_arrays(folder / "training.npz", losses, force=True)
    report.loss_figure(folder / "training.png", losses)
    arrays = {"truth": truth, **predictions}
    write_arrays(folder / "predictions.npz", arrays, force=True)
    _figures(config, folder, truth, predictions)
    if config.times > 1:
        _over_time(config, folder, errors)


def table(
    errors: Mapping[Method, Errors], default: Method | None = None
) -> list[report.BoundaryRow]:
    """One row per method: means over functions, then mean and spread over seeds."""
    means = {method: np.asarray(e.relative_l2).mean(1) for method, e in errors.items()}
    base = float(means["overwrite"].mean()) if "overwrite" in means else None
    return [
        report.BoundaryRow(
            method,
            per_seed.size,
            float(per_seed.mean()),
            float(per_seed.std()),
            float(np.sqrt(e.misfit.mean())),
            None if base is None else float(per_seed.mean()) / base,
            method == default,
        )
        for (method, e), per_seed in zip(errors.items(), means.values(), strict=True)
    ]


def _figures(
    config: BoonConfig,
    folder: Path,
    truth: np.ndarray,
    predictions: Mapping[str, np.ndarray],
) -> None:
    """Draw the first test function at the last time.

    The figure shows its profile, or its field and a section.
    """
    x = np.linspace(0.0, 1.0, config.nodes)
    if config.times > 1:
        truth = truth[..., -1]
        predictions = {m: u[..., -1] for m, u in predictions.items()}
    title = f"{config.problem}, t = {config.time:g}"
    quantity = "vorticity ω" if config.problem == "cavity" else "u"
    if space_axes(config) == 2:
        field = folder / "field.png"
        report.comparison_figure(field, truth, predictions, title, quantity)
        middle = config.nodes // 2
        truth = truth[middle]
        predictions = {m: u[middle] for m, u in predictions.items()}
        title = f"{title}: section along y in the middle"
    profile = folder / "profile.png"
    report.wall_figure(profile, x, truth, predictions, title, quantity)


def _over_time(
    config: BoonConfig, folder: Path, errors: Mapping[Method, Errors]
) -> None:
    t = answer_times(config)
    curves = {str(m): np.asarray(e.over_time).mean((0, 1)) for m, e in errors.items()}
    report.error_figure(folder / "error_over_time.png", t, curves, config.problem)
    lines = np.column_stack([t, *curves.values()]).tolist()
    report.write_csv(folder / "error_over_time.csv", ["t", *curves], lines)
