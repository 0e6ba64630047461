"""Data assimilation with a finite-volume solver and an ensemble.

The solver propagates an ensemble, which is conditioned whenever data arrive. The model
is the inviscid Burgers equation on a circle: shocks form and merge, and the total is
conserved. An ensemble Kalman filter alternates the solver with an update of every
member by the sensors,

    u_k  <-  mean of N(u_k, Σ) given  G u = y + ε_k,    ε_k independent noise,

where Σ is the covariance of the ensemble. With few members Σ has spurious correlations
between distant places. The usual remedy is *localisation*, which multiplies Σ entry by
entry with a decaying correlation. It destroys the conservation of the solver: the
members lose mass at every update. Conditioning on one more, exact row, ∫u dx, restores
the mass, and places it where the ensemble is uncertain.

Without localisation the update conserves mass, because all members have the same mass
and the rows of Σ therefore integrate to zero. The study includes this filter too; its
error is larger.

Source:
    Evensen (2009), sec. 4.3 (perturbed observations); Houtekamer and Mitchell, Mon.
    Wea. Rev. 129 (2001) 123 (localisation); Janjić et al., Mon. Wea. Rev. 142 (2014)
    755 (the effect of localisation on mass).
"""

from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon import fv
from physcon._mesh import is_writer
from physcon._typing import Array, Float, PRNGKeyArray
from physcon.boundary import Boundary, Periodic
from physcon.conditioning import Gaussian, condition, integral, sensors, stationary
from physcon.grid import Grid
from physcon.kernels import squared_exponential
from physcon.linear_map import LowRank
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


def localisation(config: AssimilationConfig) -> Float[np.ndarray, "l n"]:
    """Vectors v_l such that Σ_l v_l v_lᵀ is the correlation matrix on the circle.

    Its diagonal is 1.
    """
    x = np.arange(config.cells) / config.cells
    gap = np.abs(x[:, None] - x[None])
    gap = np.minimum(gap, 1 - gap) / config.localisation
    values, vectors = np.linalg.eigh(np.exp(-0.5 * gap**2))
    kept = values > 1e-4 * values.max()
    vectors = vectors[:, kept] * np.sqrt(values[kept])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).T


def localised(root: LowRank, config: AssimilationConfig) -> LowRank:
    """The root of (Σ_k a_k a_kᵀ) ∘ (Σ_l v_l v_lᵀ).

    It consists of all entrywise products a_k v_l.
    """
    v = jnp.asarray(localisation(config), root.vectors.dtype)
    return LowRank((root.vectors[:, None] * v[None]).reshape(-1, config.cells))


def update(
    members: Float[Array, "k n"],
    readings: Float[Array, "k s"],
    config: AssimilationConfig,
    method: str,
) -> Float[Array, "k n"]:
    """Condition every member on its own perturbed readings.

    If requested, the members are also conditioned on the mass.
    """
    grid = circle(config)
    centre = jnp.mean(members, axis=0, keepdims=True)
    members = centre + config.inflation * (members - centre)
    root = Gaussian.from_samples(members).root
    assert isinstance(root, LowRank)
    if method != "ensemble Kalman":
        root = localised(root, config)
    places = jnp.asarray((np.arange(config.sensors) + 0.5) / config.sensors)[:, None]

    def one(member: Array, read: Array) -> Array:
        data = sensors(grid, places, read, config.noise_std)
        posterior = condition(Gaussian(member, root), data, throw=False).posterior
        if method == "localised, mass conserved":
            posterior = condition(
                posterior, integral(grid, config.mean), throw=False
            ).posterior
        return posterior.mean

    return jax.vmap(one)(members, readings)


def twin(key: PRNGKeyArray, config: AssimilationConfig) -> History:
    """Simulate one truth, and the ensemble of every method with the same readings."""
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
        noise = config.noise_std * jax.random.normal(
            other, (config.members, *seen.shape)
        )
        noise = noise - jnp.mean(noise, axis=0, keepdims=True)
        for method, members in ensembles.items():
            members = jax.vmap(lambda u: forecast(u, config))(members)
            ensembles = {
                **ensembles,
                method: update(members, seen[None] + noise, config, method),
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
        and the mean spread.
    """
    keys = jax.random.split(jax.random.key(config.seed), config.experiments)
    history = solved_in_parts(
        lambda key: twin(key, config), keys, session.of(config), "experiments"
    )
    if not is_writer():
        return []
    table = []
    for method, members in history.members.items():
        mass = members.astype(np.float64).mean(axis=-1)
        error = root_mean_square(members.mean(axis=2) - history.truth, -1).mean(axis=1)
        spread = np.sqrt(members.var(axis=2, ddof=1).mean(axis=-1))
        table.append(
            {
                "method": method,
                "largest_mass_error": float(np.abs(mass - config.mean).max()),
                "final_mass_error": float(np.abs(mass[:, -1] - config.mean).mean()),
                "rmse": float(error.mean()),
                "rmse_se": float(error.std(ddof=1) / error.size**0.5)
                if error.size > 1
                else 0.0,
                "spread": float(spread.mean()),
            }
        )
    if session.folder is not None:
        write_rows(session.folder, table)
        _figure(session.folder / "assimilation.png", config, history)
    return table


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
