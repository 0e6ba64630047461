"""Inverse problem through a trained neural operator: the input of a BOON-FNO from a few sensors.

A rod, insulated on the left and heated on the right, u_t = k u_xx: the network maps the initial
state to the state at time T, with the heat flux as its boundary condition, met exactly. Unknown are
both: the cosine coefficients of the initial state and the amplitude U of the flux. Known are a few
noisy temperatures at time T.

The network errs. Its errors on validation functions give a Gaussian, their mean and covariance,
around its prediction; so a prediction given θ is a field with an uncertainty, and physics says what
that cannot do: whatever θ is, the heat at time T is what was there and what came in,

    ∫u(T) dx = a_0 + k U (1 - cos π T) / π,

one exact row with a right-hand side that depends on θ. Conditioned on it the field forgets the
errors that would change the heat. The likelihood of θ is the evidence of the sensors under the
field, unconstrained or conditioned.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary
from physcon.conditioning import Gaussian, condition, integral, sensors
from physcon.grid import Grid
from physcon.inverse import Estimate, evidence, maximum_a_posteriori
from physcon.operators import (
    FNO,
    BoundaryFNO,
    Normaliser,
    init_basis_weights,
    init_spectral_weights,
)
from physcon.problems.boon_heat import HeatedRod
from physcon.report import write_rows
from physcon.report.figures import save_figure
from physcon.training import Minibatches, fit

METHODS = {"sensors": False, "sensors and heat balance": True}


#: Sizes of a run, for `physcon run --preset`: the defaults below take minutes on one core.
PRESETS: dict[str, dict[str, Any]] = {"quick": {}}


@dataclass(frozen=True)
class HeatedRodConfig:
    """The study.

    Attributes:
        nodes: of the rod, both ends included.
        time: T.
        conductivity: k.
        modes: unknown cosine coefficients a_0 ... a_(modes - 1), independent, std 1 / (1 + j).
        flux, flux_std: mean and deviation of U.
        sensors, noise_std: at time T, evenly spread.
        train, validation, test: number of functions.
        width, depth, network_modes, steps, batch, learning_rate: of the network and its training.
        form: how it meets the boundary condition; see `physcon.operators.boon`.
        seed: of all random numbers.
    """

    nodes: int = 65
    time: float = 0.5
    conductivity: float = 0.02
    modes: int = 6
    flux: float = 2.5
    flux_std: float = 1.0
    sensors: int = 8
    noise_std: float = 0.01
    train: int = 300
    validation: int = 200
    test: int = 100
    width: int = 24
    depth: int = 3
    network_modes: int = 12
    steps: int = 1500
    batch: int = 20
    learning_rate: float = 3e-3
    form: Literal["basis", "lift"] = "basis"
    seed: int = 0


class Surrogate(eqx.Module):
    """The trained network, and its errors on functions that it was not trained on ``(v, n)``."""

    network: BoundaryFNO
    errors: Float[Array, "v n"]


def rod_grid(config: HeatedRodConfig) -> Grid:
    """Nodes on [0, 1]."""
    return Grid.uniform(0.0, 1.0, config.nodes, location="nodes")


def prior(config: HeatedRodConfig) -> Gaussian:
    """θ = (a_0, ..., a_(modes - 1), U): also the law of the training functions."""
    std = 1 / (1 + jnp.arange(config.modes, dtype=float))
    mean = jnp.zeros(config.modes + 1).at[-1].set(config.flux)
    return Gaussian.diagonal(mean, jnp.append(std, config.flux_std))


def initial(theta: Float[Array, " p"], config: HeatedRodConfig) -> Float[Array, " n"]:
    """Σ_j a_j cos(j π x)."""
    x, j = rod_grid(config).coordinates[0], jnp.arange(config.modes, dtype=float)
    return jnp.cos(jnp.pi * x[:, None] * j[None]) @ theta[:-1]


def rod(theta: Float[Array, " p"], config: HeatedRodConfig) -> HeatedRod:
    """The rod that starts at 1, with this flux."""
    return HeatedRod(jnp.zeros(()), jnp.asarray(config.conductivity), theta[-1])


def solution(theta: Float[Array, " p"], config: HeatedRodConfig) -> Float[Array, " n"]:
    """Exact: the cosines decay by themselves, exp(-k (j π)² T); the flux adds its part."""
    x, j = rod_grid(config).coordinates[0], jnp.arange(config.modes, dtype=float)
    decay = jnp.exp(-config.conductivity * (j * jnp.pi) ** 2 * config.time)
    free = jnp.cos(jnp.pi * x[:, None] * j[None]) @ (decay * theta[:-1])
    return free + rod(theta, config).solution(jnp.asarray(config.time), x) - 1


def boundary(theta: Float[Array, " p"], config: HeatedRodConfig) -> Boundary:
    """Slopes at time T: 0 and U sin(π T)."""
    return rod(theta, config).boundary(jnp.asarray(config.time))


def heat(theta: Float[Array, " p"], config: HeatedRodConfig) -> Scalar:
    """a_0 + k U (1 - cos π T) / π."""
    entered = config.conductivity * (1 - np.cos(np.pi * config.time)) / np.pi
    return theta[0] + entered * theta[-1]


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
    data: Float[Array, " s"],
    config: HeatedRodConfig,
    balanced: bool,
) -> Scalar:
    """-log p(sensors | θ), the field integrated out."""
    places = jnp.linspace(0.0, 1.0, config.sensors)[:, None]
    seen = sensors(rod_grid(config), places, data, config.noise_std)
    return -evidence(field(surrogate, theta, config, balanced), seen, throw=False).log_evidence


def estimate(
    surrogate: Surrogate, data: Float[Array, " s"], config: HeatedRodConfig, balanced: bool
) -> Estimate:
    """θ with its covariance."""
    loss = lambda theta: negative_log_likelihood(surrogate, theta, data, config, balanced)  # noqa: E731
    return maximum_a_posteriori(loss, prior(config), throw=False)


def run(
    config: HeatedRodConfig, folder: Path, *, progress: bool = True, **command: Any
) -> list[dict]:
    """Train, then recover the input of every test function; table and figure into `folder`.

    Returns: a row per method: relative L2 error of the prediction at the true input and its error
    in heat, root mean square error of the initial state and of the flux with the posterior's
    deviation, and coverage of the 95 % intervals of θ.
    """
    surrogate = trained_surrogate(config, progress)
    keys = jax.random.split(jax.random.key(config.seed + 1))
    truth = prior(config).sample(keys[0], (config.test,))
    exact = jax.jit(jax.vmap(lambda t: solution(t, config)))(truth)
    x = rod_grid(config).coordinates[0]
    places = jnp.linspace(0.0, 1.0, config.sensors)
    data = jax.vmap(lambda u: jnp.interp(places, x, u))(exact)
    data = data + config.noise_std * jax.random.normal(keys[1], data.shape)
    starts = np.asarray(jax.vmap(lambda t: initial(t, config))(truth))
    weights = np.asarray(rod_grid(config).weights("simpson"), np.float64)
    table, shown = [], {}
    for method, balanced in METHODS.items():

        def one(pair: tuple[Array, Array], balanced: bool = balanced) -> tuple[Array, ...]:
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
                "initial_rmse": float(np.sqrt(np.mean((start - starts) ** 2))),
                "flux_rmse": float(np.sqrt(np.mean(miss[:, -1] ** 2))),
                "flux_std": float(np.sqrt(np.mean(std[:, -1] ** 2))),
                "coverage": float(np.mean(np.abs(miss) < 1.96 * std)),
                "failed": int(np.sum(status != 0)),
            }
        )
        shown[method] = start[0], theta[0], std[0]
    write_rows(folder, table)
    _figure(folder / "heated_rod.png", config, truth[0], exact[0], data[0], shown)
    return table


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
