"""The programs of bench_scaling.py on virtual devices, and what each of them sends.

Counts are per device: messages and bytes of each kind of collective. Every program is
compiled from shapes alone.
"""

import re
from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import physcon as pc
from _hlo import size_of
from physcon import fv, parallel
from physcon.mesh import triangles
from physcon.operators import FNO

_COLLECTIVE = re.compile(
    r"= (\(.*?\)|\S+) "
    r"(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)"
    r"(?:-start)?\("
)


_COMPUTATION = re.compile(r"^(?:ENTRY )?%?([\w.\-]+) \(.*?\{\n(.*?)^\}", re.S | re.M)
_LOOP = re.compile(r" while\(.*?body=%?([\w.\-]+)")


def counts(
    fn: Callable, *args: Any, iteration: bool = False
) -> dict[str, dict[str, int]]:
    """Per kind of collective: their number, and the bytes of their results.

    Args:
        iteration: count one iteration of the innermost loop that sends anything, in
            place of the whole program.
    """
    text = jax.jit(fn).lower(*args).compile().as_text() or ""
    found: dict[str, dict[str, int]] = {}
    for shapes, kind in _COLLECTIVE.findall(_innermost(text) if iteration else text):
        entry = found.setdefault(kind, {"count": 0, "bytes": 0})
        entry["count"] += 1
        entry["bytes"] += size_of(shapes)
    return found


def _innermost(program: str) -> str:
    """The body of the one loop that sends and contains no other loop that does."""
    text_of = dict(_COMPUTATION.findall(program))
    bodies = {name for text in text_of.values() for name in _LOOP.findall(text)}
    sending = {name for name in bodies if _COLLECTIVE.search(text_of[name])}
    (found,) = (n for n in sending if not sending & set(_LOOP.findall(text_of[n])))
    return text_of[found]


def memory(fn: Callable, *args: Any) -> dict[str, int]:
    """Bytes of one device's arguments, results and temporaries."""
    found: Any = jax.jit(fn).lower(*args).compile().memory_analysis()
    sizes = {
        name: getattr(found, f"{name}_size_in_bytes")
        for name in ("argument", "output", "temp")
    }
    return sizes | {"total": sum(sizes.values())}


def struct(
    mesh: Mesh, shape: tuple[int, ...], *axes: str | None, dtype: Any = jnp.float32
) -> Any:
    """The shape of an array on the mesh; no data."""
    return jax.ShapeDtypeStruct(shape, dtype, sharding=NamedSharding(mesh, P(*axes)))


def box(devices: int, ndim: int) -> tuple[int, ...]:
    """Devices as a grid of `ndim` axes, as equal as powers of two allow."""
    power = devices.bit_length() - 1
    return tuple(2 ** ((power + k) // ndim) for k in reversed(range(ndim)))


def mesh_of(sizes: tuple[int, ...]) -> Mesh:
    """The first devices, axes x, y, z."""
    count = int(np.prod(sizes))
    return Mesh(
        np.array(jax.devices()[:count]).reshape(sizes), ("x", "y", "z")[: len(sizes)]
    )


def finite_volumes(devices: int, cells: tuple[int, ...], scheme: fv.Scheme) -> dict:
    """One tendency of the Euler equations in three dimensions."""
    sizes = box(devices, 3)
    mesh, axes = mesh_of(sizes), ("x", "y", "z")
    boundary = pc.Boundary(pc.Periodic(), pc.Periodic(), pc.Periodic())

    def step(u):
        grid = pc.Grid.uniform((0, 0, 0), (1, 1, 1), cells)
        return parallel.tendency(
            u, fv.Euler(), grid, boundary, scheme, mesh=mesh, axes=axes
        )

    return counts(step, struct(mesh, (5, *cells), None, *axes))


def cells(devices: int, side: int, scheme: fv.Scheme) -> dict:
    """One tendency of the Euler equations on 2 side² triangles."""
    box = triangles((0.0, 0.0), (1.0, 1.0), (side, side), periodic=True)

    def step(u):
        where = {"mesh": mesh_of((devices,)), "axes": ("x",)}
        return parallel.tendency(u, fv.Euler(), box, {}, scheme, **where)

    # All-to-all is the exchange. The others bring the result into the mesh's order.
    return counts(step, struct(mesh_of((devices,)), (4, box.size), None, None))


def few_rows(mean, std, weights, values, *, mesh, gradient=False):
    """Posterior mean and variance of a field of one axis; or with its gradient."""

    def update(mean, std):
        prior = pc.Gaussian.diagonal(mean, std)
        law = pc.LinearConstraint(pc.Rows(weights), values)
        if mesh.size == 1:
            found = pc.condition(prior, law, throw=False)
        else:
            found = parallel.condition(prior, law, mesh=mesh, axes=("x",), throw=False)
        return found.posterior.mean, found.posterior.variance()

    if not gradient:
        return update(mean, std)
    out, pull = jax.vjp(update, mean, std)
    return out, pull((mean, std))


def field(mesh: Mesh, n: int, rows: int) -> tuple:
    """Arguments of `few_rows`."""
    along = struct(mesh, (n,), "x")
    return along, along, struct(mesh, (rows, n), None, "x"), struct(mesh, (rows,), None)


def divergence(devices: int, cells: tuple[int, int]) -> dict:
    """One iteration of `condition_balance`, for a solenoidal field on a torus."""
    mesh = mesh_of(box(devices, 2))
    law = pc.divergence_free(pc.Grid.uniform((0, 0), (1, 1), cells), periodic=True)

    def solve(means, stds):
        where = {"mesh": mesh, "axes": ("x", "y")}
        return parallel.condition_balance(
            means, stds, law, **where, throw=False
        ).multiplier

    fields = (struct(mesh, cells, "x", "y"),) * 2
    return counts(solve, fields, fields, iteration=devices > 1)


def iterations(devices: int, cells: tuple[int, int]) -> int:
    """Steps of conjugate gradients to 1e-8: this one runs. Each block preconditions by
    itself.
    """
    law = pc.divergence_free(pc.Grid.uniform((0, 0), (1, 1), cells), periodic=True)
    rng = np.random.default_rng(0)
    means = tuple(jnp.asarray(rng.normal(size=cells), jnp.float32) for _ in range(2))
    stds = tuple(jnp.asarray(rng.uniform(0.5, 1, cells), jnp.float32) for _ in range(2))
    where = {"mesh": mesh_of(box(devices, 2)), "axes": ("x", "y")}
    return int(parallel.condition_balance(means, stds, law, **where).steps)


def training(devices: int, batch: int) -> dict:
    """Loss and gradient of an FNO, whose predictions are conditioned on their mass."""
    mesh = mesh_of((devices,))
    model = FNO.init(jax.random.key(0), 1, 2, (16,), width=32)

    def loss(model, u, key):
        mean, std = model(u)
        prior = pc.Gaussian.diagonal(mean, 0.1 + std**2)
        law = pc.integral(jnp.ones(mean.shape), 1.0)
        return jnp.mean(pc.condition(prior, law, throw=False).posterior.mean ** 2)

    mean_loss = parallel.mean_over_tasks(loss, mesh=mesh, axis="x")
    key = struct(mesh, (2,), dtype=jnp.uint32)

    def step(model, u, key):
        return jax.grad(mean_loss)(model, u, jax.random.wrap_key_data(key))

    shapes = jax.tree.map(lambda x: struct(mesh, x.shape), model)
    return counts(step, shapes, struct(mesh, (batch, 1, 64), "x"), key)


def fourier(devices: int, side: int) -> dict:
    """One block of an FNO in two dimensions: its spectral convolution by slabs."""
    mesh = mesh_of((devices,))
    conv = partial(parallel.spectral_conv, mesh=mesh, axes=("x", None))
    field = struct(mesh, (32, side, side), None, "x", None)
    return counts(conv, struct(mesh, (2, 32, 32, 24, 12)), field)
