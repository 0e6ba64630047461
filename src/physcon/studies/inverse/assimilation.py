"""Data assimilation with a finite-volume solver and an ensemble.

The solver propagates an ensemble, which is updated whenever data arrive, by
`physcon.assimilation.ensemble_update`. The model is the inviscid Burgers equation on a
circle: shocks form and merge, and the total is conserved. With few members the
covariance of the ensemble has spurious correlations between distant places. The usual
remedy is *localisation*, which lets an observation change nearby points only. It
destroys the conservation of the solver: the members lose mass at every update. One
more, exact row, ∫u dx, restores the mass, and places it where the ensemble is
uncertain.

Without localisation the update conserves mass, because all members have the same mass
and no point is changed alone. The study includes this filter too; its error is larger.
The filters give every member its own perturbed observations, except for the last one,
a square-root filter.

Source:
    Evensen (2009), sec. 4.3 (perturbed observations); Houtekamer and Mitchell, Mon.
    Wea. Rev. 129 (2001) 123 (localisation); Janjić et al., Mon. Wea. Rev. 142 (2014)
    755 (the effect of localisation on mass).
"""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon import fv
from physcon._mesh import is_writer
from physcon._typing import Array, Float, PRNGKeyArray
from physcon.assimilation import ensemble_update, localisation
from physcon.boundary import Boundary, Periodic
from physcon.conditioning import Gaussian, condition, integral, sensors, stationary
from physcon.grid import Grid
from physcon.kernels import squared_exponential
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.scores import root_mean_square
from physcon.studies.inverse.settings import AssimilationConfig
from physcon.studies.session import Session
from physcon.studies.sharing import solved_in_parts

COLOURS = {
    "ensemble Kalman": "#999999",
    "localised": "#0072B2",
    "localised, mass conserved": "#D55E00",
    "square root, localised, mass conserved": "#009E73",
}


class History(NamedTuple):
    """The states after updates.

    Shapes:
        The truth is ``(t, n)``, and the members of each method are ``(t, k, n)``.
    """

    truth: Float[Array, "t n"]
    members: dict[str, Float[Array, "t k n"]]


def circle(config: AssimilationConfig) -> Grid:
    """A grid of equal cells on [0, 1)."""
    return Grid.uniform(0.0, 1.0, config.cells)


def forecast(u: Float[Array, " n"], config: AssimilationConfig) -> Float[Array, " n"]:
    """Propagate the field over one interval by the solver."""
    times = jnp.asarray([config.interval])
    options = {"times": times, "cfl": 0.4, "throw": False}
    around = Boundary(Periodic())
    return fv.solve(u[None], fv.Burgers(), circle(config), around, **options).u[0, 0]


def initial(config: AssimilationConfig) -> Gaussian:
    """Smooth random fields that all have the same total.

    The distribution is a Gaussian process conditioned on its integral.
    """
    grid = circle(config)
    mean = jnp.full(config.cells, config.mean)
    process = stationary(
        mean,
        squared_exponential,
        grid,
        config.std,
        config.length,
        periodic=True,
        throw=False,
    )
    return condition(process, integral(grid, config.mean), throw=False).posterior


def update(
    members: Float[Array, "k n"],
    readings: Float[Array, " s"],
    key: PRNGKeyArray,
    config: AssimilationConfig,
    method: str,
) -> Float[Array, "k n"]:
    """Update the members by the readings, in the way that the method's name says."""
    grid = circle(config)
    places = jnp.asarray((np.arange(config.sensors) + 0.5) / config.sensors)
    taper = localisation(grid, places, config.localisation, periodic=True)
    is_conserved = "mass conserved" in method
    return ensemble_update(
        members,
        sensors(grid, places, readings, config.noise_std),
        key=None if "square root" in method else key,
        localisation=taper if "localised" in method else None,
        inflation=config.inflation,
        law=integral(grid, config.mean) if is_conserved else None,
        throw=False,
    ).members


def twin(key: PRNGKeyArray, config: AssimilationConfig) -> History:
    """Simulate one truth, and the ensemble of every method with the same readings.

    The filters with perturbed observations also have the same perturbations.
    """
    keys = jax.random.split(key, 3)
    prior = initial(config)
    truth = prior.sample(keys[0])
    members = prior.sample(keys[1], (config.members,))
    ensembles = {method: members for method in COLOURS}
    step = config.cells // config.sensors

    def cycle(state: tuple, key: PRNGKeyArray) -> tuple[tuple, History]:
        truth, ensembles = state
        truth = forecast(truth, config)
        # A sensor lies between the centres of two cells, so it reads their mean.
        seen = 0.5 * (truth[step // 2 - 1 :: step] + truth[step // 2 :: step])
        one, other = jax.random.split(key)
        seen = seen + config.noise_std * jax.random.normal(one, seen.shape)
        for method, members in ensembles.items():
            members = jax.vmap(lambda u: forecast(u, config))(members)
            ensembles = {
                **ensembles,
                method: update(members, seen, other, config, method),
            }
        return (truth, ensembles), History(truth, ensembles)

    return jax.lax.scan(
        cycle, (truth, ensembles), jax.random.split(keys[2], config.cycles)
    )[1]


def run(
    config: AssimilationConfig,
    session: Session = Session(),
) -> list[dict]:
    """Run all twin experiments, and write table and figure into the session's folder.

    Returns:
        A row per method: the largest mass error of any member at any update, the root
        mean square error of the ensemble mean with the standard error over experiments,
        the mean spread, and the number of experiments with a smaller error than by
        localisation alone.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.experiments)
    history = solved_in_parts(
        lambda key: twin(key, config), keys, session.of(config), "experiments"
    )
    if not is_writer():
        return []
    error = {
        method: root_mean_square(members.mean(axis=2) - history.truth, -1).mean(axis=1)
        for method, members in history.members.items()
    }
    table = [
        _row(method, members, error, config)
        for method, members in history.members.items()
    ]
    if session.folder is not None:
        write_rows(session.folder, table)
        _figure(session.folder / "assimilation.png", config, history)
    return table


def _row(
    method: str,
    members: Float[np.ndarray, "e t k n"],
    errors: dict[str, Float[np.ndarray, " e"]],
    config: AssimilationConfig,
) -> dict[str, Any]:
    """The scores of one method; `errors` hold the errors of all methods."""
    mass = members.astype(np.float64).mean(axis=-1)
    error = errors[method]
    spread = np.sqrt(members.var(axis=2, ddof=1).mean(axis=-1))
    alone = error.size == 1
    return {
        "method": method,
        "largest_mass_error": float(np.abs(mass - config.mean).max()),
        "final_mass_error": float(np.abs(mass[:, -1] - config.mean).mean()),
        "rmse": float(error.mean()),
        "rmse_se": 0.0 if alone else float(error.std(ddof=1) / error.size**0.5),
        "spread": float(spread.mean()),
        "better_than_localised": int(np.sum(error < errors["localised"])),
    }


def _figure(path: Path, config: AssimilationConfig, history: History) -> None:
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    first, second, third = figure.subplots(1, 3)
    times = config.interval * np.arange(1, config.cycles + 1)
    x = np.asarray(circle(config).coordinates[0])
    first.plot(x, history.truth[0, -1], "k", lw=2, label="truth")
    for method, members in history.members.items():
        colour = COLOURS[method]
        mass = members[0].astype(np.float64).mean(axis=-1)
        first.plot(x, members[0, -1].mean(axis=0), color=colour, lw=1)
        second.plot(times, mass, color=colour, lw=0.4, alpha=0.5)
        second.plot(times, mass.mean(axis=1), color=colour, lw=2, label=method)
        error = root_mean_square(members.mean(axis=2) - history.truth, -1).mean(axis=0)
        third.plot(times, error, color=colour, label=method)
    second.axhline(config.mean, color="k", lw=1, ls=":")
    first.set(xlabel="position x", ylabel="u", title="one experiment, last update")
    second.set(
        xlabel="time t", ylabel="mass ∫u dx", title="members (thin) and their mean"
    )
    third.set(
        xlabel="time t", ylabel="root mean square error", title="mean over experiments"
    )
    first.legend(frameon=False, fontsize=8)
    second.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
