"""Inverse heat conduction: k(x) in 64 cells, from thermometers along a heated rod.

The model is u_t = (k(x) u_x)_x on [0, 1], heated at the left end and cooled at the
right end. log k is unknown in every cell and has a smooth Gaussian process prior. The
equation is solved by backward Euler on finite volumes. Its gradient is an implicit
adjoint, with one transposed tridiagonal solve per step. The data come from a grid and
steps four times finer, with noise, and not from the fitted model.
"""

from pathlib import Path

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
from physcon.kernels import covariance, matern52
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.scores import root_mean_square
from physcon.studies.inverse.settings import ConductivityConfig
from physcon.studies.session import Session
from physcon.studies.sharing import solved_in_parts


def heating(t: Scalar) -> Scalar:
    """The temperature of the hot end, 1 - exp(-8 t)."""
    return 1 - jnp.exp(-8 * t)


def temperatures(
    log_k: Float[Array, " n"], steps: int, time: float
) -> Float[Array, "steps n"]:
    """The temperature of the heated rod, cold at first, after every implicit step."""
    grid = Grid.uniform(0.0, 1.0, log_k.size)
    ends = Boundary((Dirichlet(heating), Dirichlet(0.0)))
    problem = fv.Problem(fv.Layered(jnp.exp(log_k)), grid, ends)
    dt = jnp.asarray(time / steps, log_k.dtype)

    def step(u: Array, t: Array) -> tuple[Array, Array]:
        u = fv.implicit_euler(problem, u, t, dt)
        return u, u[0]

    times = dt * jnp.arange(steps, dtype=log_k.dtype)
    return jax.lax.scan(step, jnp.zeros((1, log_k.size), log_k.dtype), times)[1]


def readings(
    log_k: Float[Array, " n"], config: ConductivityConfig, refinement: int = 1
) -> Float[Array, "t s"]:
    """The readings of the thermometers.

    k is given on the cells of the model, or on cells `refinement` times finer.
    """
    u = temperatures(log_k, config.steps * refinement, config.time)
    u = u.reshape(u.shape[0], config.cells, refinement).mean(axis=2)
    every = config.steps * refinement // config.readings
    apart = config.cells // config.sensors
    return u[every - 1 :: every, apart // 2 :: apart]


def prior(config: ConductivityConfig, refinement: int = 1) -> Gaussian:
    """The prior of log k, with a dense covariance, which is small for 64 cells."""
    n = config.cells * refinement
    x = Grid.uniform(0.0, 1.0, n).coordinates[0][:, None]
    std = jnp.asarray(config.log_std)
    length = jnp.asarray([config.length])
    matrix = covariance(matern52, x, x, std, length) + 1e-5 * jnp.eye(n)
    return Gaussian.from_covariance(jnp.full(n, config.log_mean), matrix, throw=False)


def misfit(
    log_k: Float[Array, " n"], data: Float[Array, "t s"], config: ConductivityConfig
) -> Float[Array, "t s"]:
    """The residuals (data - model) / noise_std."""
    return (data - readings(log_k, config)) / config.noise_std


def estimate(data: Float[Array, "t s"], config: ConductivityConfig) -> Estimate:
    """Estimate log k and its covariance, by Levenberg-Marquardt from the prior mean."""
    return least_squares(
        lambda theta: misfit(theta, data, config), prior(config), throw=False
    )


def example(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """The true conductivity in the figure.

    It has a poor conductor in the middle of a good one, and a trend.
    """
    return (
        -1.0 + 0.6 * jnp.sin(2 * jnp.pi * x) - 1.2 * jnp.exp(-(((x - 0.6) / 0.1) ** 2))
    )


def run(
    config: ConductivityConfig,
    session: Session = Session(),
) -> list[dict]:
    """Recover every truth, and write table and figure into the session's folder.

    Returns:
        Rows for the example and the draws of the prior: the root mean square error of
        log k, the posterior standard deviation, the fraction of cells inside their 95 %
        band, and the misfit per reading (1 expected).
    """
    fine = config.refinement
    x = Grid.uniform(0.0, 1.0, config.cells * fine).coordinates[0]
    keys = jax.random.split(jax.random.key(config.seed))
    truth = jnp.concatenate(
        [example(x)[None], prior(config, fine).sample(keys[0], (config.truths,))]
    )

    def one(pair: tuple[Array, PRNGKeyArray]) -> tuple[Array, ...]:
        log_k, key = pair
        data = readings(log_k, config, fine)
        data = data + config.noise_std * jax.random.normal(key, data.shape)
        found = estimate(data, config)
        assert found.posterior is not None
        square = jnp.mean(misfit(found.parameters, data, config) ** 2)
        return (
            found.parameters,
            found.posterior.std(),
            square,
            jnp.asarray(found.steps),
            failed(found.outcome),
        )

    each = jax.random.split(keys[1], truth.shape[0])
    mean, std, square, steps, wrong = solved_in_parts(
        one, (truth, each), session.of(config), "truths"
    )
    if not is_writer():
        return []
    target = _layer_means(np.asarray(truth), config)
    table = _table(target, mean, std, square, steps, wrong)
    if session.folder is not None:
        write_rows(session.folder, table)
        _figure(
            session.folder / "conductivity.png", config, target[:2], mean[:2], std[:2]
        )
    return table


def _layer_means(log_k: np.ndarray, config: ConductivityConfig) -> np.ndarray:
    """log k of the model's cells.

    The value of k in a cell represents the resistance of its layers, so it is their
    harmonic mean.
    """
    layers = log_k.reshape(-1, config.cells, config.refinement)
    return -np.log(np.mean(np.exp(-layers), axis=2))


def _table(
    target: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
    square: np.ndarray,
    steps: np.ndarray,
    wrong: np.ndarray,
) -> list[dict]:
    """A row for the example, which comes first, and one for the draws of the prior."""
    table = []
    for name, chosen in {
        "example": slice(0, 1),
        "draws of the prior": slice(1, None),
    }.items():
        error = mean[chosen] - target[chosen]
        table.append(
            {
                "truth": name,
                "rmse": float(root_mean_square(error)),
                "posterior_std": float(root_mean_square(std[chosen])),
                "coverage": float(np.mean(np.abs(error) < 1.96 * std[chosen])),
                "misfit": float(np.mean(square[chosen])),
                "steps": int(steps[chosen].max()),
                "failed": int(np.sum(wrong[chosen])),
            }
        )
    return table


def _figure(
    path: Path,
    config: ConductivityConfig,
    target: np.ndarray,
    mean: np.ndarray,
    std: np.ndarray,
) -> None:
    figure = Figure(figsize=(8, 3.2), layout="constrained")
    x = np.asarray(Grid.uniform(0.0, 1.0, config.cells).coordinates[0])
    axes = figure.subplots(1, 2, sharey=True)
    for axis, t, m, s, title in zip(
        axes, target, mean, std, ("example", "a draw of the prior"), strict=True
    ):
        axis.fill_between(
            x, m - 1.96 * s, m + 1.96 * s, color="#D55E00", alpha=0.25, lw=0
        )
        axis.plot(x, m, color="#D55E00", label="posterior mean, 95 %")
        axis.plot(x, t, "k--", lw=1, label="truth")
        apart = config.cells // config.sensors
        axis.plot(
            x[apart // 2 :: apart],
            np.full(config.sensors, mean.min() - 0.6),
            "k|",
            ms=6,
        )
        axis.set(xlabel="position x (ticks: thermometers)", title=title)
    axes[0].set(ylabel="log conductivity")
    axes[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path)
