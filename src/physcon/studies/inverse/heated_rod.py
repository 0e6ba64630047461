"""Inverse problem through a trained neural operator: the input of a BOON-FNO from a few sensors.

A rod, insulated on the left and heated on the right, u_t = k u_xx: the network maps the initial
state to the state at time T, with the heat flux as its boundary condition, met exactly. Unknown are
both: the cosine coefficients of the initial state and the amplitude U of the flux. Known are a few
noisy temperatures at time T, and a noisy reading of the rod's heat.

The network errs. Its errors on validation functions give a Gaussian, their mean and covariance,
around its prediction; so a prediction given θ is a field with an uncertainty, and physics says what
that cannot do: whatever θ is, the heat at time T is what was there and what came in,

    ∫u(T) dx = a_0 + k U (1 - cos π T) / π,

one exact row with a right-hand side that depends on θ. Conditioned on it the field forgets the
errors that would change the heat. The likelihood of θ is the evidence of the readings under the
field, unconstrained or conditioned.

The errors are those at inputs like the training's. Readings much finer than the errors (noise 0.003
was tried) can drive θ to where the network was never trained, and no interval holds there.
"""

from pathlib import Path
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.conditioning import Gaussian, condition, integral, sensors
from physcon.inverse import Estimate, evidence, maximum_a_posteriori
from physcon.operators import (
    FNO,
    BoundaryFNO,
    Normaliser,
    init_basis_weights,
    init_spectral_weights,
)
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.studies.inverse.rod import (
    HeatedRodConfig,
    boundary,
    heat,
    initial,
    prior,
    rod_grid,
    solution,
)
from physcon.training import Minibatches, fit

METHODS = {"network": False, "network and heat balance": True}


#: Sizes of a run, for `physcon run --preset`: the defaults below take minutes on one core.
PRESETS: dict[str, dict[str, Any]] = {"quick": {}}


class Readings(NamedTuple):
    """Of one experiment: temperatures ``(s,)`` and the heat."""

    temperatures: Float[Array, " s"]
    heat: Scalar


class Surrogate(eqx.Module):
    """The trained network, and its errors on functions that it was not trained on ``(v, n)``."""

    network: BoundaryFNO
    errors: Float[Array, "v n"]


def predict(
    network: BoundaryFNO, theta: Float[Array, " p"], config: HeatedRodConfig
) -> Float[Array, " n"]:
    """The network's state at time T."""
    return network(initial(theta, config)[None], boundary(theta, config), rod_grid(config))[0]


def random_network(key: PRNGKeyArray, config: HeatedRodConfig) -> BoundaryFNO:
    """Untrained, its normalisers fitted to functions of the prior."""
    keys = jax.random.split(key)
    theta = prior(config).sample(keys[0], (config.train,))
    states = jax.vmap(lambda t: (initial(t, config), solution(t, config)))(theta)
    inputs, outputs = (Normaliser.fit(u[:, None]) for u in states)
    weights = init_basis_weights if config.form == "basis" else init_spectral_weights
    fno = FNO.init(
        keys[1], 1, 1, (config.network_modes,), config.width, config.depth,
        inputs=inputs, outputs=outputs, init_weights=weights,
    )  # fmt: skip
    return BoundaryFNO(fno, config.form, throw=False)


def trained_surrogate(config: HeatedRodConfig, progress: bool = True) -> Surrogate:
    """Train on functions of the prior by Adam, and keep the errors on others."""
    import optax

    keys = jax.random.split(jax.random.key(config.seed), 4)

    def loss(network: BoundaryFNO, batch: Array, key: PRNGKeyArray) -> Scalar:
        def relative(theta: Array) -> Scalar:
            exact = solution(theta, config)
            missed = predict(network, theta, config) - exact
            return jnp.linalg.norm(missed) / jnp.linalg.norm(exact)

        return jnp.mean(jax.vmap(relative)(batch))

    network = random_network(keys[0], config)
    batches = Minibatches(prior(config).sample(keys[1], (config.train,)), config.batch)
    optimizer = optax.adam(optax.cosine_decay_schedule(config.learning_rate, config.steps))
    network = fit(
        loss, network, optimizer, batches, config.steps, keys[2], progress=progress
    ).params
    others = prior(config).sample(keys[3], (config.validation,))
    miss = jax.vmap(lambda t: solution(t, config) - predict(network, t, config))
    return Surrogate(network, eqx.filter_jit(miss)(others))


def field(
    surrogate: Surrogate, theta: Float[Array, " p"], config: HeatedRodConfig, balanced: bool
) -> Gaussian:
    """The state at time T given θ: the prediction with the network's errors, or balanced too."""
    error = Gaussian.from_samples(surrogate.errors)
    plain = Gaussian(predict(surrogate.network, theta, config) + error.mean, error.root)
    if not balanced:
        return plain
    law = integral(rod_grid(config), heat(theta, config), rule="simpson")
    return condition(plain, law, throw=False).posterior


def negative_log_likelihood(
    surrogate: Surrogate,
    theta: Float[Array, " p"],
    data: Readings,
    config: HeatedRodConfig,
    balanced: bool,
) -> Scalar:
    """-log p(readings | θ), the field integrated out."""
    grid, places = rod_grid(config), jnp.linspace(0.0, 1.0, config.sensors)[:, None]
    seen = sensors(grid, places, data.temperatures, config.noise_std)
    meter = integral(grid, data.heat, config.meter_std, rule="simpson")
    u = field(surrogate, theta, config, balanced)
    return -evidence(u, seen, meter, throw=False).log_evidence


def estimate(
    surrogate: Surrogate, data: Readings, config: HeatedRodConfig, balanced: bool
) -> Estimate:
    """θ with its covariance."""
    loss = lambda theta: negative_log_likelihood(surrogate, theta, data, config, balanced)  # noqa: E731
    return maximum_a_posteriori(loss, prior(config), throw=False)


def run(
    config: HeatedRodConfig, folder: Path, *, progress: bool = True, **command: Any
) -> list[dict]:
    """Train, then recover the input of every test function; table and figure into `folder`.

    Returns: a row per method: relative L2 error of the prediction at the true input and its error
    in heat; root mean square errors of the initial state, of its mean a_0 and of the flux U, the
    posterior's deviations; coverage of the 95 % intervals of θ.
    """
    surrogate = trained_surrogate(config, progress)
    keys = jax.random.split(jax.random.key(config.seed + 1), 3)
    truth = prior(config).sample(keys[0], (config.test,))
    exact = jax.jit(jax.vmap(lambda t: solution(t, config)))(truth)
    x = rod_grid(config).coordinates[0]
    places = jnp.linspace(0.0, 1.0, config.sensors)
    seen = jax.vmap(lambda u: jnp.interp(places, x, u))(exact)
    seen = seen + config.noise_std * jax.random.normal(keys[1], seen.shape)
    meter = jax.vmap(lambda t: heat(t, config))(truth)
    meter = meter + config.meter_std * jax.random.normal(keys[2], meter.shape)
    data = Readings(seen, meter)
    starts = np.asarray(jax.vmap(lambda t: initial(t, config))(truth))
    weights = np.asarray(rod_grid(config).weights("simpson"), np.float64)
    table, shown = [], {}
    for method, balanced in METHODS.items():

        def one(pair: tuple[Array, Readings], balanced: bool = balanced) -> tuple[Array, ...]:
            theta, seen = pair
            found = estimate(surrogate, seen, config, balanced)
            assert found.posterior is not None
            start = initial(found.parameters, config)
            ahead = field(surrogate, theta, config, balanced).mean
            return found.parameters, found.posterior.std(), start, ahead, found.status

        solve = eqx.filter_jit(lambda pairs, f=one: jax.lax.map(f, pairs))
        theta, std, start, ahead, status = jax.device_get(solve((truth, data)))
        miss = np.asarray(theta - truth)
        norm = np.linalg.norm
        table.append(
            {
                "method": method,
                "forward_l2": float(np.mean(norm(ahead - exact, axis=1) / norm(exact, axis=1))),
                "heat_error": float(np.abs((ahead - np.asarray(exact)) @ weights).max()),
                "initial_rmse": root_mean_square(start - starts),
                **{f"{name}_rmse": root_mean_square(miss[:, j]) for name, j in _NAMED},
                **{f"{name}_std": root_mean_square(std[:, j]) for name, j in _NAMED},
                "coverage": float(np.mean(np.abs(miss) < 1.96 * std)),
                "failed": int(np.sum(status != 0)),
            }
        )
        shown[method] = start[0], theta[0], std[0]
    write_rows(folder, table)
    _figure(folder / "heated_rod.png", config, truth[0], exact[0], seen[0], shown)
    return table


#: Entries of θ in the table.
_NAMED = (("a0", 0), ("flux", -1))


def root_mean_square(error: np.ndarray) -> float:
    """Over all entries."""
    return float(np.sqrt(np.mean(error**2)))


def _figure(
    path: Path, config: HeatedRodConfig, truth: Array, exact: Array, data: Array, shown: dict
) -> None:
    figure = Figure(figsize=(11, 3.2), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    x = np.asarray(rod_grid(config).coordinates[0])
    left.plot(x, initial(truth, config), "k--", lw=1.5, label="truth")
    middle.plot(x, exact, "k--", lw=1.5, label="truth")
    middle.plot(
        np.linspace(0, 1, config.sensors), data, "o", ms=4, color="#999999", label="sensors"
    )
    index = np.arange(config.modes + 1)
    for (method, (start, theta, std)), colour, shift in zip(
        shown.items(), ("#0072B2", "#D55E00"), (-0.12, 0.12), strict=True
    ):
        left.plot(x, start, color=colour, label=method)
        right.errorbar(index + shift, theta - truth, 1.96 * std, fmt=".", color=colour)
    right.axhline(0, color="k", lw=1, ls="--")
    right.set_xticks(index, [*(f"a{j}" for j in range(config.modes)), "U"])
    left.set(xlabel="position x", ylabel="initial state", title="recovered input")
    middle.set(xlabel="position x", title=f"what is seen, t = {config.time:g}")
    right.set(title="estimate - truth, 95 %")
    left.legend(frameon=False, fontsize=8)
    middle.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
