"""The BOON studies: the same FNO plain, overwritten at the boundary, and corrected in each form.

Source: Saad et al., Guiding continuous operator learning through physics-based boundary
constraints, ICLR 2023, section 4: one step in time from the initial state, and fields in (x, t).
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from physcon._typing import Array, Float, PRNGKeyArray, Scalar
from physcon.boundary import Boundary
from physcon.grid import Grid
from physcon.operators.bases import init_basis_weights
from physcon.operators.boon import BoundaryFNO, NetworkForm
from physcon.operators.enforce import residuals
from physcon.operators.fno import FNO, Normaliser
from physcon.operators.spectral import init_spectral_weights
from physcon.problems.boon_heat import HeatedRod
from physcon.problems.stokes import StokesSecond
from physcon.problems.viscous_burgers import BurgersPeriodic, BurgersRiemann
from physcon.problems.wave import StandingWaves

Method: TypeAlias = Literal["plain", "overwrite", "lift-output", "lift", "eliminate", "basis"]
METHODS: tuple[Method, ...] = ("plain", "overwrite", "lift-output", "lift", "eliminate", "basis")
FAMILIES = {
    "heat": HeatedRod,
    "stokes": StokesSecond,
    "burgers-riemann": BurgersRiemann,
    "burgers-periodic": BurgersPeriodic,
    "wave": StandingWaves,
}


@dataclass(frozen=True)
class BoonConfig:
    """One study. The defaults are the published single step (`paper` preset of the heated rod).

    Attributes:
        problem: key in `FAMILIES`.
        nodes: points in space, both ends included.
        time: of the answer; with `times` > 1 the answer is at `times` equal steps up to it.
        train, test: number of functions.
        modes, width, depth, batch: of the network and its training; modes on every axis.
        steps: gradient steps; published: 500 epochs of 500 / 20 = 25.
        learning_rate, weight_decay: of Adam; the rate falls to zero along a cosine.
        order: of the one-sided differences.
        reach: of the lift, as a fraction of the axis.
        methods, seeds: what is compared; seeds are initial weights, trained side by side.
        data_seed: of the functions and the order of the batches.
    """

    problem: Literal["heat", "stokes", "burgers-riemann", "burgers-periodic", "wave"] = "heat"
    nodes: int = 500
    time: float = 0.5
    times: int = 1
    train: int = 500
    test: int = 100
    modes: int = 16
    width: int = 64
    depth: int = 4
    batch: int = 20
    steps: int = 12_500
    learning_rate: float = 1e-3
    weight_decay: float = 1e-4
    order: int = 3
    reach: float = 0.1
    methods: tuple[Method, ...] = METHODS
    seeds: tuple[int, ...] = (0, 1, 2)
    data_seed: int = 0


class Samples(eqx.Module):
    """Functions of one family: initial states, answers, and their boundary values.

    Shapes: u ``(n, 1, *x)``, answer ``(n, 1, *x)``, boundary leaves ``(n, ...)``.
    """

    u: Float[Array, "n 1 *x"]
    answer: Float[Array, "n 1 *x"]
    boundary: Boundary


@dataclass(frozen=True)
class Score:
    """Mean over the test functions, for one method and one seed."""

    method: Method
    seed: int
    relative_l2: float
    boundary_error: float


def run(config: BoonConfig, progress: bool = True) -> list[Score]:
    """Train every method on the same functions and batches, and score it on the test functions.

    A method that does not exist for the problem's conditions (elimination and bases on a periodic
    axis) is left out of the result.
    """
    grid = study_grid(config)
    keys = jax.random.split(jax.random.key(config.data_seed), 3)
    train, test = samples(keys[0], config, config.train), samples(keys[1], config, config.test)
    methods: list[Method] = [m for m in config.methods if _exists(m, config)]
    scores = []
    for method in methods:
        networks = trained(method, config, grid, train, keys[2], progress)
        found = jax.device_get(evaluated(networks, method, config, grid, test))
        for seed, relative, misfit in zip(config.seeds, *found, strict=True):
            scores.append(Score(method, seed, float(relative), float(misfit)))
    return scores


def table(scores: list[Score]) -> list[dict[str, Any]]:
    """Mean and standard deviation over seeds, one row per method."""
    rows = []
    for method in dict.fromkeys(s.method for s in scores):
        error = np.array([s.relative_l2 for s in scores if s.method == method])
        misfit = np.array([s.boundary_error for s in scores if s.method == method])
        rows.append(
            {
                "method": method,
                "relative_l2": float(error.mean()),
                "relative_l2_std": float(error.std()),
                "boundary_error": float(misfit.mean()),
            }
        )
    return rows


def study_grid(config: BoonConfig) -> Grid:
    """Nodes in space, and in time where the answer has a time axis."""
    lower, upper = FAMILIES[config.problem].domain
    if config.times == 1:
        return Grid.uniform(lower, upper, config.nodes, location="nodes")
    t = config.time * np.arange(1, config.times + 1) / config.times
    return Grid.nodes(np.linspace(lower, upper, config.nodes), t)


def samples(key: PRNGKeyArray, config: BoonConfig, number: int) -> Samples:
    """Random functions of the family, exact on the grid."""
    family, grid = FAMILIES[config.problem], study_grid(config)
    x = grid.coordinates[0]

    def one(key: PRNGKeyArray) -> Samples:
        problem = family.sample(key)
        u = problem.initial(x)[None]
        if config.times == 1:
            t = jnp.asarray(config.time, x.dtype)
            return Samples(u[None], problem.solution(t, x)[None, None], problem.boundary(t))
        t = grid.coordinates[1]
        answer = jax.vmap(lambda t: problem.solution(t, x), out_axes=1)(t)
        u = jnp.broadcast_to(u[..., None], (1, *grid.shape))
        return Samples(u[None], answer[None, None], problem.boundary(t))

    many = jax.jit(jax.vmap(one))(jax.random.split(key, number))
    return eqx.tree_at(lambda s: (s.u, s.answer), many, (many.u[:, 0], many.answer[:, 0]))


def trained(
    method: Method,
    config: BoonConfig,
    grid: Grid,
    data: Samples,
    key: PRNGKeyArray,
    progress: bool = True,
) -> BoundaryFNO:
    """Networks of all seeds (leaves lead with the seed), each trained as if alone.

    Adam acts on every number by itself, so the gradient of the sum of the losses trains all seeds.
    """
    import optax

    from physcon.training import Minibatches, fit

    inputs, outputs = Normaliser.fit(data.u), Normaliser.fit(data.answer)
    keys = jax.vmap(jax.random.key)(jnp.asarray(config.seeds))
    make = eqx.filter_vmap(lambda k: network(method, config, k, inputs, outputs))
    networks = eqx.filter_jit(make)(keys)

    def loss(networks: BoundaryFNO, batch: Samples, key: PRNGKeyArray) -> Scalar:
        errors, _ = _errors(networks, method, grid, batch, config.order)
        return jnp.sum(jnp.mean(errors, axis=1))

    rate = optax.cosine_decay_schedule(config.learning_rate, config.steps)
    optimizer = optax.chain(
        optax.add_decayed_weights(config.weight_decay), optax.adam(rate)
    )  # L2 in the gradient, as torch's Adam(weight_decay=...)
    batches = Minibatches(data, config.batch)
    settings = {"method": method, **asdict(config)}
    return fit(
        loss, networks, optimizer, batches, config.steps, key, config=settings, progress=progress
    ).params


def network(
    method: Method, config: BoonConfig, key: PRNGKeyArray, inputs: Normaliser, outputs: Normaliser
) -> BoundaryFNO:
    """Random weights of one method; all methods but "basis" start from the same ones."""
    modes = (config.modes,) if config.times == 1 else (config.modes, min(config.modes, 8))
    fno = FNO.init(
        key,
        1,
        1,
        modes,
        config.width,
        config.depth,
        padding=(0,) if config.times == 1 else (0, 0.0 if method == "basis" else 0.25),
        inputs=inputs,
        outputs=outputs,
        init_weights=init_basis_weights if method == "basis" else init_spectral_weights,
    )
    forms: dict[Method, NetworkForm] = {
        "plain": "overwrite",
        "overwrite": "overwrite",
        "lift-output": "lift",
        "lift": "lift",
        "eliminate": "eliminate",
        "basis": "basis",
    }
    every = method in ("lift", "eliminate", "basis")
    return BoundaryFNO(fno, forms[method], every, config.order, config.reach, throw=False)


def evaluated(
    networks: BoundaryFNO, method: Method, config: BoonConfig, grid: Grid, data: Samples
) -> tuple[Float[Array, " seeds"], Float[Array, " seeds"]]:
    """Mean relative L2 error, and root mean square of the boundary residual, per seed."""
    call = eqx.filter_jit(_errors)
    relative, misfit = call(networks, method, grid, data, config.order)
    return jnp.mean(relative, 1), jnp.sqrt(jnp.mean(misfit, 1))


def _errors(
    networks: BoundaryFNO, method: Method, grid: Grid, data: Samples, order: int
) -> tuple[Float[Array, "s n"], Float[Array, "s n"]]:
    """‖u - answer‖ / ‖answer‖ and mean squared boundary residual of every seed and function."""

    def one(net: BoundaryFNO, sample: Samples) -> tuple[Scalar, Scalar]:
        u = net.fno(sample.u) if method == "plain" else net(sample.u, sample.boundary, grid)
        found = residuals(u, sample.boundary, grid, order)
        misfit = jnp.mean(jnp.stack([jnp.mean(r.value**2) for r in found]))
        return jnp.linalg.norm(u - sample.answer) / jnp.linalg.norm(sample.answer), misfit

    def per_seed(net: BoundaryFNO) -> tuple[Array, Array]:
        return jax.vmap(lambda sample: one(net, sample))(data)

    return eqx.filter_vmap(per_seed)(networks)


def _exists(method: Method, config: BoonConfig) -> bool:
    return config.problem != "burgers-periodic" or method not in ("eliminate", "basis")
