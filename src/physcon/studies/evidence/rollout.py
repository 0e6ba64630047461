"""Roll-outs: an emulator of a stirred tracer that predicts hundreds of steps in a row.

The truth conserves the mass of the tracer. A small network learns one step of the
solver, and is then applied to its own predictions. The methods differ in how the law
enters: not at all; by a fixer that adds the same number everywhere after each step,
used only in the roll-out, or in the training as well; by a fixer that corrects in
proportion to the field; or by a network that predicts fluxes between cells, whose
differences conserve mass in every cell.
"""

from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon._files import write_json, write_text
from physcon._mesh import is_writer
from physcon._typing import Array, Float, PyTree
from physcon.report.figures import save_figure
from physcon.studies.evidence.emulator import Emulator, Pair, trained
from physcon.studies.evidence.settings import RolloutConfig, RolloutMethod
from physcon.studies.evidence.summary import summary
from physcon.studies.evidence.tracer import square, trajectories
from physcon.studies.session import Session

COLOURS: dict[str, str] = {
    "none": "#999999",
    "fixer afterwards": "#0072B2",
    "trained through fixer": "#D55E00",
    "proportional": "#CC79A7",
    "fluxes": "#009E73",
}

#: The method whose trained networks a method uses.
_TRAINED_AS: dict[RolloutMethod, RolloutMethod] = {"fixer afterwards": "none"}


class Rollouts(NamedTuple):
    """Scores of the roll-outs of one method, for every network, test and step."""

    error: Float[np.ndarray, "k s t"]
    mass: Float[np.ndarray, "k s t"]
    variance: Float[np.ndarray, "k s t"]


def run(config: RolloutConfig, session: Session = Session()) -> list[dict[str, Any]]:
    """Train the emulators, roll them out, and write table and figure.

    Returns:
        A row per method: at several steps the root mean square error and the relative
        error of the mass, each a list over networks; no rows on other processes.
    """
    session = session.of(config)
    train_key, test_key, network_key = jax.random.split(jax.random.key(config.seed), 3)
    path = trajectories(train_key, config, config.initial, config.pairs)
    cells = (config.cells, config.cells)
    before = path[:, :-1].reshape(-1, *cells)
    pairs = Pair(before, path[:, 1:].reshape(-1, *cells))
    truth = trajectories(test_key, config, config.tests, config.steps)
    networks: dict[RolloutMethod, Emulator] = {}
    found: dict[str, Rollouts] = {}
    for method in config.methods:
        own = _TRAINED_AS.get(method, method)
        if own not in networks:
            networks[own] = trained(config, own, pairs, network_key, session)
        found[method] = rolled_out(config, networks[own], truth, method)
    if not is_writer():
        return []
    rows = [_uniform(config, truth)]
    rows += [_row(config, method, scores) for method, scores in found.items()]
    if session.output is not None:
        write_json(session.output / "table.json", rows)
        write_text(session.output / "table.txt", summary(rows))
        _figure(session.output / "rollout.png", found, np.asarray(truth))
    return rows


def rolled_out(
    config: RolloutConfig,
    emulators: Emulator,
    truth: Float[Array, "s t y x"],
    method: RolloutMethod,
) -> Rollouts:
    """Apply every emulator to its own predictions, from every initial test field."""
    grid = square(config)

    def one(emulator: Emulator, truth: Array) -> tuple[Array, ...]:
        mass = grid.integrate(truth[0])

        def step(u: Array, exact: Array) -> tuple[Array, tuple[Array, ...]]:
            u = emulator(u, mass, method, grid)
            error = jnp.sqrt(jnp.mean((u - exact) ** 2))
            variance = jnp.var(u) / jnp.var(exact)
            return u, (error, grid.integrate(u) / mass - 1, variance)

        return jax.lax.scan(step, truth[0], truth[1:])[1]

    @eqx.filter_jit
    def every(emulators: PyTree, truth: Array) -> tuple[Array, ...]:
        return eqx.filter_vmap(lambda e: jax.vmap(lambda t: one(e, t))(truth))(
            emulators
        )

    return Rollouts(*map(np.asarray, every(emulators, truth)))


def _shown(config: RolloutConfig) -> list[int]:
    """The steps of the table."""
    return sorted({min(n, config.steps) for n in (1, 10, 100, config.steps)})


def _row(config: RolloutConfig, method: str, scores: Rollouts) -> dict[str, Any]:
    """Means over tests, a list over networks for each step that is shown."""
    row: dict[str, Any] = {"method": method}
    for n in _shown(config):
        row[f"rmse_{n}"] = scores.error[:, :, n - 1].mean(axis=1).tolist()
    for n in _shown(config)[1:]:
        drift = np.abs(scores.mass[:, :, n - 1]).mean(axis=1)
        row[f"mass_error_{n}"] = drift.tolist()
    row["variance_ratio"] = scores.variance[:, :, -1].mean(axis=1).tolist()
    return row


def _uniform(config: RolloutConfig, truth: Array) -> dict[str, Any]:
    """No emulator: the uniform field of the right mass, which needs no skill."""
    spread = np.asarray(jnp.std(truth, axis=(2, 3)).mean(axis=0))
    row: dict[str, Any] = {"method": "uniform field"}
    row |= {f"rmse_{n}": [float(spread[n])] for n in _shown(config)}
    row |= {f"mass_error_{n}": [0.0] for n in _shown(config)[1:]}
    return row | {"variance_ratio": [0.0]}


def _figure(path: Path, found: dict[str, Rollouts], truth: np.ndarray) -> None:
    """Draw error and drift of every network, and their mean, over the steps."""
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    for method, scores in found.items():
        steps = np.arange(1, scores.error.shape[-1] + 1)
        colour = COLOURS[method]
        error = scores.error.mean(axis=1)
        drift = np.maximum(np.abs(scores.mass).mean(axis=1), 1e-9)
        for one, other in zip(error, drift, strict=True):
            left.loglog(steps, one, color=colour, lw=0.5, alpha=0.6)
            right.loglog(steps, other, color=colour, lw=0.5, alpha=0.6)
        left.loglog(steps, np.exp(np.log(error).mean(axis=0)), color=colour, lw=2)
        mean = np.exp(np.log(drift).mean(axis=0))
        right.loglog(steps, mean, color=colour, lw=2, label=method)
    spread = truth.std(axis=(2, 3)).mean(axis=0)[1:]
    left.loglog(steps, spread, "k:", lw=1.5, label="uniform field of the right mass")
    left.set(xlabel="step", ylabel="root mean square error", title="error")
    right.set(xlabel="step", ylabel="relative error of the mass", title="drift of mass")
    left.legend(frameon=False, fontsize=8)
    right.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
