"""Inverse Stefan problem: the melting value p* from noisy sensors and the mass.

The study compares estimates from 20 sensors with and without the mass. The model of the
field at one time, given p*, is the similarity solution plus a smooth discrepancy,

    u = f(p*) + δ,   δ ~ GP(0, std² Matérn 5/2).

The discrepancy stands for unknown local disturbances that the equation neglects
(currents, inhomogeneity). Sensors read box averages of u with independent noise. The
heat that entered was metered, so ∫u dx is known exactly for every δ; this is the
constraint. The distribution of the heat is not known. The likelihood of p* is the
evidence of the rows with the field integrated out (S of `condition`).

Truths are drawn from the same model, so 95 % intervals must cover 95 % of them. Any
deviation would be an error of the constraint or of Laplace's approximation. For
comparison the posterior is also integrated on a grid. If sensors are much narrower than
the posterior's spread of fronts, the likelihood has a kink wherever the front enters or
leaves a box. Laplace's intervals are then too short, but the integrated ones are not.

The benefit of the mass depends on what is unknown without it: the interval halves with
the settings below, shrinks by 12 % with a discrepancy of 0.03, and by 6 % with a noise
of 0.05.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh
from matplotlib.figure import Figure

from physcon._mesh import is_writer
from physcon._typing import Array, Float, Scalar
from physcon.grid import Grid
from physcon.inverse import Estimate, maximum_a_posteriori
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.scores import root_mean_square
from physcon.studies.inverse.settings import InverseStefanConfig
from physcon.studies.inverse.stefan_model import (
    Data,
    negative_log_likelihood,
    p_star,
    parameter_prior,
    simulate,
)
from physcon.studies.session import Session
from physcon.studies.sharing import solved, solved_in_parts

#: Maps each method to whether it is constrained by the mass.
METHODS = {"sensors": False, "sensors and mass": True}
COLOURS = {"sensors": "#0072B2", "sensors and mass": "#D55E00"}
NORMAL_975 = 1.959964


def estimate(data: Data, config: InverseStefanConfig, constrained: bool) -> Estimate:
    """Compute the MAP estimate and Laplace interval of θ for one data set."""
    return maximum_a_posteriori(
        lambda theta: negative_log_likelihood(theta, data, config, constrained),
        parameter_prior(config),
        throw=False,
    )


class Interval(NamedTuple):
    """A 95 % interval of p*, its centre, and whether it holds the truth."""

    lower: Float[Array, "*s"]
    centre: Float[Array, "*s"]
    upper: Float[Array, "*s"]
    covers: Float[Array, "*s"]


def interval(centre: Array, lower: Array, upper: Array, truth: Array) -> Interval:
    """Build an interval from numbers on the scale of θ."""
    inside = (lower <= truth) & (truth <= upper)
    return Interval(
        p_star(lower), p_star(centre), p_star(upper), inside.astype(centre.dtype)
    )


def laplace_interval(
    data: Data, config: InverseStefanConfig, constrained: bool
) -> Interval:
    """The interval θ̂ ± 1.96 standard deviations, mapped to p*."""
    found = estimate(data, config, constrained)
    assert found.posterior is not None
    half = NORMAL_975 * found.posterior.std()[0]
    theta = found.parameters[0]
    return interval(theta, theta - half, theta + half, data.theta[0])


def integrated_interval(
    data: Data, config: InverseStefanConfig, constrained: bool
) -> Interval:
    """Median and quantiles of the posterior itself.

    They are computed on a grid over five prior standard deviations.
    """
    points = config.prior_mean + config.prior_std * jnp.linspace(-5.0, 5.0, 401)

    def log_posterior(theta: Scalar) -> Scalar:
        prior = -0.5 * ((theta - config.prior_mean) / config.prior_std) ** 2
        return prior - negative_log_likelihood(theta[None], data, config, constrained)

    weights = jax.nn.softmax(jax.vmap(log_posterior)(points))
    below = jnp.cumsum(weights) - 0.5 * weights
    low, middle, high = jnp.interp(jnp.asarray([0.025, 0.5, 0.975]), below, points)
    return interval(middle, low, high, data.theta[0])


def simulated(config: InverseStefanConfig, mesh: Mesh | None = None) -> Data:
    """Simulate all data sets."""
    keys = jax.random.split(jax.random.key(config.seed), config.data_sets)
    return solved(lambda key: simulate(key, config), keys, mesh, config.data_sets)


def intervals(
    data: Data,
    config: InverseStefanConfig,
    session: Session = Session(progress=False),
) -> dict[str, dict[str, Interval]]:
    """A mapping method -> {"Laplace", "integrated"} -> intervals of all data sets."""
    found = {}
    for method, constrained in METHODS.items():
        given = {"config": config, "constrained": constrained}
        name = method.replace(" ", "_")
        laplace = solved_in_parts(
            partial(laplace_interval, **given),
            data,
            session,
            f"laplace_{name}",
            parts=2,
            batch_size=config.data_sets,
        )
        integrated = solved_in_parts(
            partial(integrated_interval, **given), data, session, f"integrated_{name}"
        )
        found[method] = {"Laplace": laplace, "integrated": integrated}
    return found


def run(
    config: InverseStefanConfig,
    session: Session = Session(),
) -> list[dict]:
    """Estimate p* for every data set, with and without the mass.

    The table and the figure go into the session's folder.

    Returns:
        A row per method and kind of interval: the mean width, the coverage with its
        standard error, and the root mean square error of the centre.
    """
    data = simulated(config, session.mesh)
    found = intervals(data, config, session.of(config))
    if not is_writer():
        return []
    truth = np.asarray(p_star(data.theta[:, 0]))
    table = []
    for method, kinds in found.items():
        for kind, each in kinds.items():
            coverage = float(each.covers.mean())
            table.append(
                {
                    "method": method,
                    "interval": kind,
                    "width": float((each.upper - each.lower).mean()),
                    "coverage": coverage,
                    "coverage_se": float(np.sqrt(0.95 * 0.05 / truth.size)),
                    "rmse": float(root_mean_square(each.centre - truth)),
                    "data_sets": truth.size,
                }
            )
    if session.folder is not None:
        write_rows(session.folder, table)
        _figure(
            session.folder / "inverse_stefan.png", config, jax.device_get(data), found
        )
    return table


def _figure(path: Path, config: InverseStefanConfig, data: Data, found: dict) -> None:
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.4))
    grid = Grid.uniform(0.0, 1.0, config.cells)
    half = 0.5 * config.width
    centres = np.linspace(half, config.reach - half, config.sensors)
    left.plot(grid.coordinates[0], data.field[0], "k", lw=1.5, label="true field")
    left.errorbar(
        centres,
        data.readings[0],
        config.noise_std,
        half,
        fmt="none",
        color="#999999",
        lw=0.8,
        label="sensors: noise, box",
    )
    left.set(xlabel="position x", ylabel="temperature u", title="one of the data sets")
    left.legend(frameon=False, fontsize=8)
    size = data.mass.size
    shown = np.arange(min(40, size))
    truth = np.asarray(p_star(data.theta[shown, 0]))
    order = np.argsort(truth)
    for (method, colour), offset in zip(COLOURS.items(), (-0.2, 0.2), strict=True):
        each = found[method]["integrated"]
        low, middle, high = (np.asarray(x)[shown][order] for x in each[:3])
        name = f"{method}: covers {100 * each.covers.mean():.1f} % of {size}"
        error = (middle - low, high - middle)
        right.errorbar(
            shown + offset,
            middle,
            error,
            fmt=".",
            ms=3,
            lw=1.2,
            color=colour,
            label=name,
        )
    right.plot(shown, truth[order], "k_", ms=8, label="truth")
    right.set(xlabel="data set, sorted", ylabel="p*", title="95 % intervals")
    right.legend(frameon=False, fontsize=8, loc="upper left")
    save_figure(figure, path)
