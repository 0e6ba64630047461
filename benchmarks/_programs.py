"""The main programs as functions of shapes, at sizes that fill an accelerator.

`least` is what a program must move: its inputs read once and its results written once,
and for networks the features between layers as well, as in bench_roofline.py. It is
None if there is no such number.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jax import Array

import physcon as pc
from physcon import fv
from physcon.conditioning import divergence_free
from physcon.linear_map import Dense, LinearMap, LowRank, Rows
from physcon.models.anp import ANP
from physcon.models.losses import mean_over_tasks, negative_elbo
from physcon.models.predictor import Observations
from physcon.operators import FNO, BoundaryFNO


class Program(NamedTuple):
    """A function, the shapes of its arguments, and the bytes that it must move."""

    fn: Callable[..., Any]
    args: tuple
    least: float | None


def programs() -> Iterator[tuple[str, Callable[[], Program]]]:
    """Name, and a function that makes the program."""
    yield "condition, 1 row, 1e8 points", one_row
    yield "the same, all results", lambda: one_row(everything=True)
    yield "the same, gradient", one_row_gradient
    yield "condition, 10 rows, 1e7 points", ten_rows
    yield "condition, 20100 profiles of 201", profiles
    yield "condition, low rank 100, 16 rows, 1e6", low_rank
    yield "condition, dense 4000, 16 rows", dense
    yield "condition, divergence free 1024²", solenoidal
    for dim in (2, 3):
        for name, reconstruct in {"MUSCL": fv.MUSCL(), "WENO5": fv.WENO(5)}.items():
            scheme = fv.Scheme(reconstruct)
            yield (
                f"Euler {dim}-D, {name} tendency",
                lambda d=dim, s=scheme: tendency(d, s),
            )
    yield "Euler 2-D, MUSCL tendency, gradient", lambda: tendency_gradient(2)
    yield "Euler 2-D, MUSCL-Hancock step", hancock
    yield "FNO, forward", lambda: network(gradient=False)
    yield "FNO, loss and gradient", lambda: network(gradient=True)
    yield "BoundaryFNO, lift, forward", lambda: network(gradient=False, boundary=True)
    yield "ANP, training step", training_step


def f32(*shape: int) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(shape, jnp.float32)


def mean_and_variance(
    mean: Array, root: LinearMap, weights: Array
) -> tuple[Array, Array]:
    law = pc.LinearConstraint(Rows(weights), jnp.ones(weights.shape[0]))
    posterior = pc.condition(pc.Gaussian(mean, root), law, throw=False).posterior
    return posterior.mean, posterior.variance()


def one_row(n: int = 10**8, everything: bool = False) -> Program:
    def run(mean: Array, std: Array, weights: Array) -> tuple:
        prior = pc.Gaussian.diagonal(mean, std)
        found = pc.condition(prior, pc.integral(weights, 1.5), throw=False)
        out = found.posterior.mean, found.posterior.variance()
        return (
            (*out, found.residual, found.log_evidence, found.status)
            if everything
            else out
        )

    return Program(run, (f32(n),) * 3, 5 * 4 * n)


def one_row_gradient(n: int = 10**8) -> Program:
    def run(mean: Array, std: Array, weights: Array, *slopes: Array) -> tuple:
        out, pull = jax.vjp(lambda m, s: one_row(n).fn(m, s, weights), mean, std)
        return out, pull(slopes)

    return Program(run, (f32(n),) * 5, 9 * 4 * n)


def ten_rows(n: int = 10**7) -> Program:
    def run(mean: Array, std: Array, weights: Array) -> tuple:
        return mean_and_variance(mean, pc.linear_map.Diagonal(std), weights)

    return Program(run, (f32(n), f32(n), f32(10, n)), 14 * 4 * n)


def profiles(shape: tuple[int, int, int] = (100, 201, 201)) -> Program:
    def one(mean: Array, std: Array, mass: Array, weights: Array) -> tuple:
        prior = pc.Gaussian.diagonal(mean, std)
        posterior = pc.condition(
            prior, pc.integral(weights, mass), throw=False
        ).posterior
        return posterior.mean, posterior.variance()

    run = jax.vmap(jax.vmap(one, (0, 0, 0, None)), (0, 0, 0, None))
    return Program(
        run,
        (f32(*shape), f32(*shape), f32(*shape[:2]), f32(201)),
        16 * math.prod(shape),
    )


def low_rank(n: int = 10**6, r: int = 100, m: int = 16) -> Program:
    def run(mean: Array, vectors: Array, weights: Array) -> Array:
        return mean_and_variance(mean, LowRank(vectors), weights)[0]

    return Program(run, (f32(n), f32(r, n), f32(m, n)), 4 * n * (r + m + 2))


def dense(n: int = 4000, m: int = 16) -> Program:
    def run(mean: Array, root: Array, weights: Array) -> Array:
        return mean_and_variance(mean, Dense(root, (n,)), weights)[0]

    return Program(run, (f32(n), f32(n, n), f32(m, n)), 4 * n * (n + m + 2))


def solenoidal(side: int = 1024) -> Program:
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (side, side))
    law = divergence_free(grid, boundary=((0.0, 0.0), (0.0, 0.0)))

    def run(mean: Array, std: Array) -> tuple:
        found = pc.condition(pc.Gaussian.diagonal(mean, std), law, throw=False)
        return found.posterior.mean, found.steps

    return Program(run, (f32(*law.operator.in_shape),) * 2, None)


def flow(dim: int) -> tuple[pc.Grid, pc.Boundary, jax.ShapeDtypeStruct]:
    side = {2: 4096, 3: 256}[dim]
    grid = pc.Grid.uniform((0.0,) * dim, (1.0,) * dim, (side,) * dim)
    return (
        grid,
        pc.Boundary(*(pc.Periodic() for _ in range(dim))),
        f32(2 + dim, *grid.shape),
    )


def tendency(dim: int, scheme: fv.Scheme) -> Program:
    grid, torus, u = flow(dim)
    return Program(
        lambda u: fv.tendency(u, fv.Euler(), grid, torus, scheme), (u,), 8 * u.size
    )


def tendency_gradient(dim: int) -> Program:
    grid, torus, u = flow(dim)

    def run(u: Array, slope: Array) -> tuple:
        out, pull = jax.vjp(lambda u: fv.tendency(u, fv.Euler(), grid, torus), u)
        return out, pull(slope)[0]

    return Program(run, (u, u), 16 * u.size)


def hancock() -> Program:
    grid, torus, u = flow(2)
    scheme = fv.Scheme(fv.MUSCL(), fv.hllc, fv.muscl_hancock)
    problem = fv.Problem(fv.Euler(), grid, torus, scheme)
    return Program(
        lambda u, dt: scheme.step(problem, u, 0 * dt, dt), (u, f32()), 8 * u.size
    )


def network(gradient: bool, boundary: bool = False) -> Program:
    batch, side, width, modes, depth = 32, 256, 64, 16, 4
    model = FNO.init(jax.random.key(0), 1, 1, (modes, modes), width, depth)
    nodes = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (side, side), location="nodes")
    zero = pc.Boundary(*((pc.Dirichlet(0.0), pc.Dirichlet(0.0)),) * 2)
    arrays, static = eqx.partition(model, eqx.is_inexact_array)

    def run(arrays: Any, x: Array) -> Array:
        net = eqx.combine(arrays, static)
        if boundary:
            return jax.vmap(lambda u: BoundaryFNO(net, throw=False)(u, zero, nodes))(x)
        return jax.vmap(net)(x)

    def loss(arrays: Any, x: Array, y: Array) -> Array:
        return jnp.mean((run(arrays, x) - y) ** 2)

    shapes, fields = jax.eval_shape(lambda: arrays), f32(batch, 1, side, side)
    least = (depth * 4 * width + 2) * fields.size * 4.0
    if gradient:
        return Program(jax.value_and_grad(loss), (shapes, fields, fields), 3 * least)
    return Program(run, (shapes, fields), least)


def training_step() -> Program:
    arrays, static = eqx.partition(
        ANP(size=128, key=jax.random.key(0)), eqx.is_inexact_array
    )
    loss = mean_over_tasks(
        lambda m, task, key: negative_elbo(m, *task, key=key, dropout=False)
    )
    optimizer = optax.adam(1e-4)
    tasks = Observations(f32(250, 100, 2), f32(250, 100, 1))

    def run(arrays: Any, state: Any, seed: Array, batch: Any) -> tuple:
        key = jax.random.wrap_key_data(seed)
        value, slope = jax.value_and_grad(
            lambda a: loss(eqx.combine(a, static), batch, key)
        )(arrays)
        updates, state = optimizer.update(slope, state, arrays)
        return eqx.apply_updates(arrays, updates), state, value

    shapes = jax.eval_shape(lambda: arrays)
    seed = jax.ShapeDtypeStruct((2,), jnp.uint32)
    return Program(
        run,
        (shapes, jax.eval_shape(optimizer.init, shapes), seed, (tasks, tasks)),
        None,
    )
