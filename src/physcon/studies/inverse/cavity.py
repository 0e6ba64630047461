"""Inverse problem through a trained neural operator.

The initial state of a flow is recovered from a few sensors. A BOON-FNO maps the initial
vorticity of a lid-driven cavity to the vorticity over time, and meets its boundary
data, the vorticity on the walls, exactly. The swirls θ of the initial state are
unknown. Noisy readings of the vorticity at some places and times, and the speed of the
lid, are known. The vorticity on the walls depends on θ as well, and a quadratic surface
in (θ, U) predicts it.

Both the network and the surface have errors. Their total errors on validation flows
give a Gaussian around the prediction, with mean and covariance. Physics restricts the
errors: no slip fixes the circulation and six more integrals of the vorticity at every
time (`no_slip`), for every θ. Conditioning on these integrals removes the errors that
would violate them,

    ω | θ  =  N(network(θ) + mean error, Σ) given G ω = b(U),

and the readings y = S ω + noise are Gaussian. `least_squares` is applied to L⁻¹ (y - S
E[ω | θ]) with L Lᵀ = S Cov[ω] Sᵀ + noise², which includes the discrepancy of the
network. The covariance is inflated according to further flows, because errors need not
be Gaussian, nor equally distributed for all flows.
"""

from functools import partial
from pathlib import Path
from typing import NamedTuple, get_args

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon._mesh import is_writer
from physcon._status import failed
from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian, LinearConstraint, condition, sensors
from physcon.inverse import Estimate, least_squares
from physcon.linear_map import Rows
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.cavity_flows import (
    Flows,
    Laws,
    flows,
    grid,
    initial,
    no_slip,
    prior,
)
from physcon.studies.inverse.cavity_network import Surrogate, predict, trained_surrogate
from physcon.studies.inverse.scores import root_mean_square
from physcon.studies.inverse.settings import InverseCavityConfig
from physcon.studies.session import Session

METHODS: tuple[Laws, ...] = get_args(Laws)
COLOURS = dict(zip(METHODS, ("#0072B2", "#009E73", "#D55E00"), strict=True))


def field(
    surrogate: Surrogate,
    theta: Float[Array, " 9"],
    lid: Scalar,
    config: InverseCavityConfig,
    laws: Laws,
) -> Gaussian:
    """The predicted vorticity given θ, with its errors, conditioned on the laws."""
    error = Gaussian.from_samples(surrogate.errors)
    mean = predict(surrogate.network, surrogate.surface, theta, lid, config)
    plain = Gaussian(mean + error.mean, error.root)
    if laws == "none":
        return plain
    return condition(plain, no_slip(lid, config, laws), throw=False).posterior


def sensor_places(config: InverseCavityConfig) -> Float[Array, "s 2"]:
    """Random sensor positions, at some distance from the walls."""
    key = jax.random.key(config.seed + 2)
    return jax.random.uniform(key, (config.sensors, 2), float, 0.05, 0.95)


def sensing(config: InverseCavityConfig) -> LinearConstraint:
    """All sensors with their common reading times; the values are still zero."""
    places = sensor_places(config)
    every = config.times // config.readings
    times = grid(config).coordinates[2][every - 1 :: every]
    at = jnp.repeat(times, config.sensors)[:, None]
    points = jnp.concatenate([jnp.tile(places, (times.size, 1)), at], axis=1)
    return sensors(grid(config), points, jnp.zeros(points.shape[0]), config.noise_std)


class Sight(eqx.Module):
    """The surrogate, restricted to the rows that matter.

    Only S ω and G ω of the field are needed, which are k + m rows.

    Shapes:
        errors is ``(v, k + m)``.
    """

    surrogate: Surrogate
    rows: Rows
    errors: Float[Array, "v r"]


def sight(surrogate: Surrogate, config: InverseCavityConfig, laws: Laws) -> Sight:
    """The rows of the sensors, followed by the rows of the laws, if there are any."""
    rows = sensing(config).operator.rows()
    if laws != "none":
        law = no_slip(jnp.zeros(()), config, laws)
        rows = jnp.concatenate([rows, law.operator.rows()])
    flat = surrogate.errors.reshape(surrogate.errors.shape[0], -1)
    errors = jnp.matmul(flat, rows.reshape(rows.shape[0], -1).T, precision="highest")
    return Sight(surrogate, Rows(rows), errors)


def misfit(
    seen: Sight,
    theta: Float[Array, " 9"],
    lid: Scalar,
    readings: Float[Array, " k"],
    config: InverseCavityConfig,
    laws: Laws,
) -> Float[Array, " k"]:
    """L⁻¹ (y - S E[ω | θ]), L Lᵀ = S Cov[ω] Sᵀ + noise²: white if θ is the truth.

    The rows are conditioned on the laws, which equals the same rows of the conditioned
    `field`.
    """
    k, size = readings.size, seen.errors.shape[1]
    error = Gaussian.from_samples(seen.errors)
    mean = predict(seen.surrogate.network, seen.surrogate.surface, theta, lid, config)
    given = Gaussian(seen.rows.mv(mean) + error.mean, error.root)
    if laws != "none":
        law = LinearConstraint(
            Rows(jnp.eye(size)[k:]), no_slip(lid, config, laws).value
        )
        given = condition(given, law, throw=False).posterior
    half = jax.vmap(given.root.rmv)(jnp.eye(k, size))
    spread = jnp.matmul(
        half, half.T, precision="highest"
    ) + config.noise_std**2 * jnp.eye(k)
    missed = readings - given.mean[:k]
    return jax.scipy.linalg.solve_triangular(
        jnp.linalg.cholesky(spread), missed, lower=True
    )


def observed(
    key: PRNGKeyArray, those: Flows, config: InverseCavityConfig
) -> Float[Array, "*s k"]:
    """Noisy readings of every flow."""
    exact = jax.vmap(sensing(config).operator.mv)(those.vorticity[..., 1:])
    return exact + config.noise_std * jax.random.normal(key, exact.shape)


def inflation(
    seen: Sight, others: Flows, readings: Array, config: InverseCavityConfig, laws: Laws
) -> Scalar:
    """Root mean square of the misfits at the true parameters of held-out flows.

    The error covariance is estimated without these flows. The result would be 1 if the
    errors were Gaussian, equally distributed for all flows, and their covariance known.
    """

    def one(pair: tuple[Flows, Array]) -> Scalar:
        flow, data = pair
        return jnp.mean(misfit(seen, flow.theta, flow.lid, data, config, laws) ** 2)

    return jnp.sqrt(jnp.mean(jax.lax.map(one, (others, readings))))


def estimate(
    seen: Sight,
    lid: Scalar,
    readings: Float[Array, " k"],
    config: InverseCavityConfig,
    laws: Laws,
    inflation: Scalar,
) -> Estimate:
    """Estimate θ and its covariance, by Levenberg-Marquardt from the prior mean."""
    return least_squares(
        lambda theta: misfit(seen, theta, lid, readings, config, laws) / inflation,
        prior(config),
        throw=False,
    )


class Found(NamedTuple):
    """The results for all test flows.

    They are θ and its standard deviations ``(k, 9)``, failures, ω at the true θ, and
    the inflation.
    """

    theta: Array
    std: Array
    failed: Array
    ahead: Array
    inflation: Array


def recovered(
    surrogate: Surrogate,
    test: Flows,
    readings: Array,
    held_out: tuple[Flows, Array],
    config: InverseCavityConfig,
    laws: Laws,
) -> Found:
    """Estimate θ of all test flows by one method."""
    seen = sight(surrogate, config, laws)
    factor = inflation(seen, *held_out, config, laws)

    def one(pair: tuple[Flows, Array]) -> tuple[Array, ...]:
        flow, data = pair
        found = estimate(seen, flow.lid, data, config, laws, factor)
        assert found.posterior is not None
        ahead = field(surrogate, flow.theta, flow.lid, config, laws).mean
        return found.parameters, found.posterior.std(), failed(found.outcome), ahead

    theta, std, wrong, ahead = jax.lax.map(one, (test, readings))
    return Found(theta, std, wrong, ahead, factor)


def run(
    config: InverseCavityConfig,
    session: Session = Session(),
) -> list[dict]:
    """Train, recover the swirls of every test flow, and write table and figure.

    The files go to the session's folder.

    Returns:
        A row per method: the relative L2 error of the prediction at the true input and
        its largest error in the seven laws; the root mean square error and posterior
        deviation of θ, in prior standard deviations; the coverage of the 95 %
        intervals; and the inflation that the intervals include.
    """
    session = session.of(config)
    surrogate = trained_surrogate(config, session)
    keys = jax.random.split(jax.random.key(config.seed + 1), 4)
    held_out = flows(keys[0], config, config.held_out, session.mesh)
    test = flows(keys[1], config, config.test, session.mesh)
    if not is_writer():
        return []
    before = observed(keys[2], held_out, config)
    readings = observed(keys[3], test, config)
    broken = jax.jit(
        jax.vmap(lambda u, lid: no_slip(lid, config, "no slip").residual(u))
    )
    exact = np.asarray(test.vorticity[..., 1:]).reshape(config.test, -1)
    scale = np.asarray(prior(config).std())
    table, shown = [], {}
    for laws in METHODS:
        session.say(f"laws: {laws}")
        solve = eqx.filter_jit(partial(recovered, config=config, laws=laws))
        found = jax.device_get(solve(surrogate, test, readings, (held_out, before)))
        miss = found.theta - np.asarray(test.theta)
        wrong = found.ahead.reshape(config.test, -1) - exact
        ratio = np.linalg.norm(wrong, axis=1) / np.linalg.norm(exact, axis=1)
        table.append(
            {
                "laws": laws,
                "forward_l2": float(ratio.mean()),
                "law_error": float(np.abs(broken(found.ahead, test.lid)).max()),
                "swirls_rmse": float(root_mean_square(miss / scale)),
                "swirls_std": float(root_mean_square(found.std / scale)),
                "coverage": float(np.mean(np.abs(miss) < 1.96 * found.std)),
                "inflation": float(found.inflation),
                "failed": int(np.sum(found.failed)),
            }
        )
        shown[laws] = found
    if session.folder is not None:
        write_rows(session.folder, table)
        _figure(
            session.folder / "inverse_cavity.png", config, jax.device_get(test), shown
        )
    return table


def _figure(path: Path, config: InverseCavityConfig, test: Flows, shown: dict) -> None:
    """Draw the first test flow.

    The figure shows the true and recovered initial vorticity, and θ with its intervals.
    """
    figure = Figure(figsize=(11, 3.4), layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1, 1, 1.6))
    truth, lid = jnp.asarray(test.theta[0]), jnp.asarray(test.lid[0])
    places = np.asarray(sensor_places(config))
    best = jnp.asarray(shown["no slip"].theta[0])
    for axes, theta, title in ((left, truth, "truth"), (middle, best, "recovered")):
        start = np.asarray(initial(theta, lid, config)).T
        drawn = axes.imshow(
            start, origin="lower", extent=(0, 1, 0, 1), cmap="RdBu_r", vmin=-10, vmax=10
        )
        axes.set(title=f"vorticity, t = 0: {title}", xlabel="x", ylabel="y")
    middle.plot(places[:, 0], places[:, 1], "k.", ms=4)
    figure.colorbar(drawn, ax=middle, label="vorticity")
    scale = np.asarray(prior(config).std())
    for shift, (laws, found) in zip((-0.2, 0.0, 0.2), shown.items(), strict=True):
        error, half = found.theta[0] - test.theta[0], 1.96 * found.std[0]
        right.errorbar(
            np.arange(9) + shift,
            error / scale,
            half / scale,
            fmt=".",
            color=COLOURS[laws],
            label=f"laws: {laws}",
        )
    right.axhline(0, color="k", lw=1, ls="--")
    right.set_xticks(
        np.arange(9), [f"$a_{{{p}{q}}}$" for p in (1, 2, 3) for q in (1, 2, 3)]
    )
    right.set(title="95 % intervals", ylabel="(estimate - truth) / prior deviation")
    right.legend(frameon=False, fontsize=8, loc="lower left")
    save_figure(figure, path)
