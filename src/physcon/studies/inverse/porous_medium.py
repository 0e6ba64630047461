"""Inverse porous medium: the exponent m and the boundary history from inner sensors.

The model is u_t = (u^m u_x)_x on [0, 1], empty at first and filled from the left. Both
m and u(t, 0) are unknown, and sensors inside detect the front as it passes. The
equation is solved by finite volumes with `sdirk2`, and the history is linear in √t
between knots. The unknowns are log m and the logarithms of the knots, so that every θ
has a physical meaning. The data are the exact travelling wave, u(t, 0) = (m t)^(1/m),
with noise, and not from the fitted model. Backward Euler delays fronts: with four times
as many steps, and so twice the solves, the error of its readings is still more than
twice as large.
"""

from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon import fv
from physcon._mesh import is_writer
from physcon._status import failed
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary, Dirichlet
from physcon.conditioning import Gaussian
from physcon.grid import Grid
from physcon.inverse import Estimate, least_squares
from physcon.kernels import covariance, matern32
from physcon.problems import PorousMedium
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.scores import root_mean_square
from physcon.studies.inverse.settings import PorousMediumConfig
from physcon.studies.session import Session
from physcon.studies.sharing import solved_in_parts


class History(eqx.Module):
    """The value at the left side, linear in √t between knots, from 0 at t = 0."""

    values: Float[Array, " k"]
    time: Scalar

    def __call__(self, t: Scalar) -> Scalar:
        s = jnp.linspace(0.0, 1.0, self.values.size + 1)
        # √ has an infinite slope at 0, where no step is evaluated.
        return jnp.interp(jnp.sqrt(t / self.time), s, jnp.pad(self.values, (1, 0)))


def fields(
    theta: Float[Array, " p"], config: PorousMediumConfig
) -> Float[Array, "steps n"]:
    """Cell averages after every step, given θ = (log m, log of the knots)."""
    grid = Grid.uniform(0.0, 1.0, config.cells)
    history = History(jnp.exp(theta[1:]), jnp.asarray(config.time))
    ends = Boundary((Dirichlet(history), Dirichlet(0.0)))
    problem = fv.Problem(fv.PorousMedium(jnp.exp(theta[0])), grid, ends)
    dt = jnp.asarray(config.time / config.steps)

    def step(u: Array, t: Array) -> tuple[Array, Array]:
        u = fv.sdirk2(problem, u, t, dt)
        return u, u[0]

    empty = jnp.zeros((1, config.cells))
    return jax.lax.scan(step, empty, dt * jnp.arange(config.steps))[1]


def readings(
    theta: Float[Array, " p"], config: PorousMediumConfig
) -> Float[Array, "t s"]:
    """The model at the sensors and reading times."""
    every = config.steps // config.readings
    x = Grid.uniform(0.0, 1.0, config.cells).coordinates[0]
    at = jnp.asarray(config.sensors)
    u = fields(theta, config)[every - 1 :: every]
    return jax.vmap(lambda u: jnp.interp(at, x, u))(u)


def exact_readings(m: Scalar, config: PorousMediumConfig) -> Float[Array, "t s"]:
    """The exact travelling wave at the sensors and reading times."""
    t = config.time * jnp.arange(1, config.readings + 1) / config.readings
    x = jnp.asarray(config.sensors)
    return jax.vmap(lambda t: PorousMedium(m, throw=False).solution(t, x))(t)


def knot_times(config: PorousMediumConfig) -> Float[np.ndarray, " k"]:
    """Times with equal steps in √t."""
    return config.time * (np.arange(1, config.knots + 1) / config.knots) ** 2


def prior(config: PorousMediumConfig) -> Gaussian:
    """The prior: log m around log 2, and the log history as a smooth process.

    The process is around 0, in log t.
    """
    k = config.knots
    x = jnp.log(jnp.asarray(knot_times(config), dtype=float))[:, None]
    matrix = jnp.zeros((k + 1, k + 1)).at[0, 0].set(0.5**2)
    history = covariance(matern32, x, x, jnp.asarray(0.7), jnp.asarray([2.0]))
    matrix = matrix.at[1:, 1:].set(history + 1e-4 * jnp.eye(k))
    mean = jnp.zeros(k + 1).at[0].set(jnp.log(2.0))
    return Gaussian.from_covariance(mean, matrix, throw=False)


def misfit(
    theta: Float[Array, " p"], data: Float[Array, "t s"], config: PorousMediumConfig
) -> Float[Array, "t s"]:
    """The residuals (data - model) / noise_std."""
    return (data - readings(theta, config)) / config.noise_std


def estimate(data: Float[Array, "t s"], config: PorousMediumConfig) -> Estimate:
    """Estimate θ and its covariance; fronts that pass sensors bend the objective."""
    return least_squares(
        lambda theta: misfit(theta, data, config),
        prior(config),
        max_steps=200,
        throw=False,
    )


def run(
    config: PorousMediumConfig,
    session: Session = Session(),
) -> list[dict]:
    """Recover every exponent from every data set, and write table and figure.

    The files go to the session's folder.

    Returns:
        A row per exponent: the mean estimate, its standard deviation over data sets and
        in the posterior, the coverage of the 95 % intervals of m and of the history,
        the error of the history, and the misfit per reading (1 expected).
    """
    t = knot_times(config)

    def one(pair: tuple[Array, PRNGKeyArray]) -> tuple[Array, ...]:
        m, key = pair
        data = exact_readings(m, config)
        data = data + config.noise_std * jax.random.normal(key, data.shape)
        found = estimate(data, config)
        assert found.posterior is not None
        square = jnp.mean(misfit(found.parameters, data, config) ** 2)
        return found.parameters, found.posterior.std(), square, failed(found.outcome)

    with jax.enable_x64(config.dtype == "float64"):
        keys = jax.random.split(jax.random.key(config.seed), config.repeats)
        every_m = jnp.repeat(jnp.asarray(config.exponents, dtype=float), config.repeats)
        pairs = (every_m, jnp.tile(keys, len(config.exponents)))
        found = solved_in_parts(one, pairs, session.of(config), "data_sets")
    if not is_writer():
        return []
    table = []
    shown = {}
    for i, m in enumerate(config.exponents):
        own = slice(i * config.repeats, (i + 1) * config.repeats)
        theta, std, square, wrong = (x[own] for x in found)
        truth = np.concatenate([[np.log(m)], np.log(m * t) / m])
        inside = np.abs(theta - truth) < 1.96 * std
        table.append(
            {
                "m": m,
                "estimate": float(np.exp(theta[:, 0]).mean()),
                "scatter": float(np.exp(theta[:, 0]).std()),
                "posterior_std": float(np.mean(np.exp(theta[:, 0]) * std[:, 0])),
                "coverage_m": float(inside[:, 0].mean()),
                "coverage_history": float(inside[:, 1:].mean()),
                "history_rmse": float(root_mean_square((theta - truth)[:, 1:])),
                "misfit": float(square.mean()),
                "failed": int(np.sum(wrong)),
            }
        )
        shown[m] = theta[0], std[0]
    if session.folder is not None:
        write_rows(session.folder, table)
        _figure(session.folder / "porous_medium.png", config, shown)
    return table


def _figure(path: Path, config: PorousMediumConfig, shown: dict) -> None:
    figure = Figure(figsize=(3.4 * len(shown), 3.2), layout="constrained")
    axes = np.atleast_1d(figure.subplots(1, len(shown), sharey=True))
    t = knot_times(config)
    fine = np.linspace(0, config.time, 400)
    for axis, (m, (theta, std)) in zip(axes, shown.items(), strict=True):
        low, high = (np.exp(theta[1:] + s * 1.96 * std[1:]) for s in (-1, 1))
        middle = np.exp(theta[1:])
        error = (middle - low, high - middle)
        axis.errorbar(
            t, middle, error, fmt="o", ms=3, color="#D55E00", label="knots, 95 %"
        )
        axis.plot(fine, (m * fine) ** (1 / m), "k--", lw=1, label="truth")
        found = np.exp(theta[0])
        spread = found * std[0]
        axis.set(xlabel="time t", title=f"m = {m:g}: found {found:.2f} ± {spread:.2f}")
    axes[0].set(ylabel="u(t, 0)")
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path)
