"""An FNO on published data, trained on 16 points and tested there and on finer grids.

The public answers live on 16 points. A finer grid contains these points, so the same
truth is used to test the network there. The network is tested on all points of a finer
grid if an exact solution exists (Burgers), or if the folder has a file of that
resolution (Darcy: `darcy_test_32.npz`).

Source:
    Li et al., Fourier neural operator, ICLR 2021, sec. 5 (zero-shot super-resolution).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon import metrics, report
from physcon._files import write_json, write_text
from physcon._mesh import is_writer
from physcon._typing import PRNGKeyArray, Scalar
from physcon.operators.fno import FNO
from physcon.operators.normaliser import Normaliser
from physcon.studies.operators.data import (
    Fields,
    Samples,
    burgers_solution,
    read_samples,
    refined,
    within,
)
from physcon.studies.operators.settings import OperatorConfig
from physcon.studies.session import Session
from physcon.studies.sharing import adam, divided, fit_tasks


class Trial(NamedTuple):
    """Inputs on one grid, and the truth on every `stride`-th of its nodes."""

    grid: str
    truth: str
    inputs: Fields
    answers: Fields
    stride: int


def inputs(config: OperatorConfig, data: Path | None) -> dict[str, Any]:
    """Read the public data, before anything is written.

    Raises:
        ValueError: for files that are absent or have other content.
    """
    return {"train": training_set(config, data), "trials": list(trials(config, data))}


def run(
    config: OperatorConfig, session: Session, *, train: Samples, trials: list[Trial]
) -> list[dict[str, Any]]:
    """Train, test on every grid, and write table and figure into the session's folder.

    The devices of the session's mesh share the training; process 0 evaluates.

    Returns:
        The rows of the table (relative L2 errors as means over samples, for each seed);
        no rows on other processes.
    """
    networks = {seed: trained(config, seed, train, session) for seed in config.seeds}
    if not is_writer():
        return []
    rows = []
    for trial in trials:
        errors = [
            relative_l2(predict(net, trial.inputs), trial) for net in networks.values()
        ]
        rows.append({"grid": trial.grid, "truth": trial.truth, "relative_l2": errors})
    if session.folder is not None:
        _write(config, session.folder, rows, next(iter(networks.values())), trials)
    return rows


def _write(
    config: OperatorConfig,
    folder: Path,
    rows: list[dict[str, Any]],
    network: FNO,
    trials: list[Trial],
) -> None:
    """Write the table, and a figure of the first test sample."""
    write_json(folder / "table.json", rows)
    write_text(folder / "table.txt", table_text(rows))
    coarse = trials[0]
    fine = max(trials, key=lambda trial: trial.inputs.shape[-1])
    shown = {
        f"truth, {coarse.grid}": coarse.answers[0, 0],
        f"FNO, {coarse.grid}": predict(network, coarse.inputs[:1])[0, 0],
        f"FNO, {fine.grid}": predict(network, fine.inputs[:1])[0, 0],
    }
    title = f"{config.problem}, first test sample"
    quantity = "velocity u" if config.problem == "burgers" else "pressure"
    report.resolutions_figure(folder / "fields.png", shown, title, quantity)


def training_set(config: OperatorConfig, data: Path | None) -> Samples:
    """The first samples of the public training file."""
    found = read_samples(data, config.problem, "train")
    return Samples(found.inputs[: config.train], found.answers[: config.train])


def trials(config: OperatorConfig, data: Path | None) -> Iterator[Trial]:
    """Iterate over the test sets: the public one on every grid, then other files.

    The other files have other resolutions.
    """
    public = read_samples(data, config.problem, "test")
    for factor in config.refine:
        inputs = refined(public, config.problem, factor)
        grid = "x".join(map(str, inputs.shape[2:]))
        yield Trial(grid, "public", inputs, public.answers, factor)
        if config.problem == "burgers":
            yield Trial(grid, "exact", inputs, burgers_solution(inputs), 1)
    for points in (32, 64, 128):
        if (
            data is not None
            and (data / f"{config.problem}_test_{points}.npz").is_file()
        ):
            found = read_samples(data, config.problem, "test", points)
            is_darcy = config.problem == "darcy"
            inputs, answers = within(public, found) if is_darcy else found
            grid = "x".join(map(str, inputs.shape[2:]))
            yield Trial(grid, "file", inputs, answers, 1)


def network(config: OperatorConfig, key: PRNGKeyArray, train: Samples) -> FNO:
    """Random weights, normalised by the training set; periodic axes are not padded."""
    inputs = jnp.asarray(train.inputs)
    answers = jnp.asarray(train.answers)
    return FNO.init(
        key,
        inputs.shape[1],
        1,
        config.modes,
        config.width,
        config.depth,
        padding=(
            config.padding,
            0.0 if config.problem == "burgers" else config.padding,
        ),
        coordinates=False,
        points=inputs.shape[2:],
        inputs=Normaliser.fit(inputs),
        outputs=Normaliser.fit(answers),
    )


def trained(
    config: OperatorConfig,
    seed: int,
    train: Samples,
    session: Session = Session(),
) -> FNO:
    """Train the network of one seed on the mean relative L2 error of its batches."""

    def loss(fno: FNO, sample: Samples, key: PRNGKeyArray) -> Scalar:
        inputs = jnp.asarray(sample.inputs)
        answers = jnp.asarray(sample.answers)
        return metrics.relative_l2(fno(inputs), answers)

    weights, order = jax.random.split(jax.random.key(seed))
    steps = config.epochs * (train.inputs.shape[0] // config.batch)
    result = fit_tasks(
        loss,
        network(config, weights, train),
        adam(config.learning_rate, config.weight_decay, steps),
        divided(train, session.mesh),
        config.batch,
        steps,
        order,
        session.of(config),
        f"fno_{seed}",
        save_every=config.save_every,
    )
    return result.params


def predict(fno: FNO, inputs: Fields, batch: int = 50) -> Fields:
    """Predict the answers for many inputs, one batch at a time."""
    call = eqx.filter_jit(lambda fno, u: jax.vmap(fno)(u))
    parts = [call(fno, inputs[i : i + batch]) for i in range(0, inputs.shape[0], batch)]
    return np.concatenate([np.asarray(p) for p in parts])


def relative_l2(prediction: Fields, trial: Trial) -> float:
    """Mean over samples of ‖prediction - truth‖ / ‖truth‖ on the nodes of the truth."""
    on_nodes = jnp.asarray(prediction[:, :, :: trial.stride, :: trial.stride])
    return float(
        jnp.mean(jax.vmap(metrics.relative_l2)(on_nodes, jnp.asarray(trial.answers)))
    )


def table_text(rows: list[dict[str, Any]]) -> str:
    """Format the rows as text, with mean and range over seeds."""
    lines = [f"{'grid':>10}  {'truth':<8}{'relative L2':>12}   range over seeds"]
    for row in rows:
        errors = row["relative_l2"]
        spread = f"{min(errors):.4f} .. {max(errors):.4f}"
        lines.append(
            f"{row['grid']:>10}  {row['truth']:<8}{np.mean(errors):>12.4f}   {spread}"
        )
    lines.append(
        "truth: public, the data's own nodes; exact, all nodes; file, a finer test set"
    )
    return "\n".join(lines)
