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
from physcon._typing import Array
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.cavity_flows import (
    Flows,
    Laws,
    flows,
    initial,
    no_slip,
    prior,
)
from physcon.studies.inverse.cavity_likelihood import (
    estimate,
    field,
    inflation,
    observed,
    sensor_places,
    sight,
)
from physcon.studies.inverse.cavity_network import Surrogate, trained_surrogate
from physcon.studies.inverse.scores import root_mean_square
from physcon.studies.inverse.settings import InverseCavityConfig
from physcon.studies.session import Session

METHODS: tuple[Laws, ...] = get_args(Laws)
COLOURS = dict(zip(METHODS, ("#0072B2", "#009E73", "#D55E00"), strict=True))


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
    table = []
    shown = {}
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
    truth = jnp.asarray(test.theta[0])
    lid = jnp.asarray(test.lid[0])
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
        error = found.theta[0] - test.theta[0]
        half = 1.96 * found.std[0]
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
