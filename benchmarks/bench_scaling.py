"""Messages, bytes and memory of divided programs, counted in the compiled programs.

    python benchmarks/bench_scaling.py [--devices 64] [--output ...]

Every program is compiled for 1, 2, 4, ... virtual devices from shapes alone. Nothing
runs and no array is made, so the counts hold on any machine. Per device they are the
messages and bytes that each kind of collective sends in one step (one iteration for
conjugate gradients) and, for `condition`, the bytes of arguments, results and
temporaries for up to 10⁹ unknowns. Weak scaling keeps the work per device, strong
scaling the total work. docs/scaling.md turns the counts into times by a stated model.
"""

import argparse
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

import physcon as pc
from _record import record
from physcon import fv, parallel
from physcon.mesh import triangles
from physcon.operators import FNO

_BYTES = {
    "pred": 1,
    "u8": 1,
    "s32": 4,
    "u32": 4,
    "f32": 4,
    "f64": 8,
    "c64": 8,
    "c128": 16,
}
_COLLECTIVE = re.compile(
    r"= (\(.*?\)|\S+) "
    r"(all-gather|all-reduce|all-to-all|collective-permute|reduce-scatter)"
    r"(?:-start)?\("
)


def counts(fn: Callable, *args: Any) -> dict[str, dict[str, int]]:
    """Per kind of collective: their number, and the bytes of their results."""
    text = jax.jit(fn).lower(*args).compile().as_text()
    found: dict[str, dict[str, int]] = {}
    for shapes, kind in _COLLECTIVE.findall(text):
        entry = found.setdefault(kind, {"count": 0, "bytes": 0})
        entry["count"] += 1
        for dtype, sizes in re.findall(r"(\w+)\[([\d,]*)\]", shapes):
            entry["bytes"] += _BYTES[dtype] * int(
                np.prod([int(s) for s in sizes.split(",") if s])
            )
    return found


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
    """`condition_balance`, a solenoidal field on a torus: one iteration and what is
    around it.
    """
    mesh = mesh_of(box(devices, 2))
    law = pc.divergence_free(pc.Grid.uniform((0, 0), (1, 1), cells), periodic=True)

    def solve(means, stds):
        where = {"mesh": mesh, "axes": ("x", "y")}
        return parallel.condition_balance(
            means, stds, law, **where, throw=False
        ).multiplier

    fields = (struct(mesh, cells, "x", "y"),) * 2
    return counts(solve, fields, fields)


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--devices", type=int, default=64)
    default = Path(__file__).parent / "results" / "bench_scaling.json"
    parser.add_argument("--output", type=Path, default=default)
    args = parser.parse_args()
    jax.config.update(
        "jax_platforms", "cpu"
    )  # counts are the same for every kind of device
    jax.config.update("jax_num_cpu_devices", args.devices)
    results: dict[str, list] = {"messages": [], "iterations": [], "memory": []}

    def keep(what: str, scaling: str, devices: int, size: Any, found: dict) -> None:
        row = {
            "what": what,
            "scaling": scaling,
            "devices": devices,
            "size": size,
            "sent": found,
        }
        results["messages"].append(row)
        short = {kind: f"{v['count']} x, {v['bytes']} B" for kind, v in found.items()}
        print(
            f"{what:22s} {scaling:6s} {devices:3d} devices {size!s:18s} {short}",
            flush=True,
        )

    schemes = {"muscl": fv.Scheme(fv.MUSCL()), "weno5": fv.Scheme(fv.WENO(5))}
    for devices in (1, 8, 64):
        if devices > args.devices:
            break
        across = round(devices ** (1 / 3))
        for name, scheme in schemes.items():
            for scaling, side in (("weak", 64 * across), ("strong", 256)):
                found = finite_volumes(devices, (side,) * 3, scheme)
                keep(f"finite volumes, {name}", scaling, devices, side, found)
    for devices in (d for d in (1, 8, 64) if d <= args.devices):
        across = round(devices**0.5)
        for scaling, side in (("weak", 24 * across), ("strong", 96)):
            found = cells(devices, side, fv.Scheme(fv.Linear(), fv.hllc))
            keep("cells of a mesh", scaling, devices, 2 * side**2, found)
    for devices in (2**k for k in range(0, args.devices.bit_length(), 2)):
        mesh = mesh_of((devices,))
        for rows in (1, 10):
            for scaling, n in (("weak", 10**6 * devices), ("strong", 2**24)):
                found = counts(partial(few_rows, mesh=mesh), *field(mesh, n, rows))
                keep(f"condition, {rows} rows", scaling, devices, n, found)
        keep(
            "divergence-free",
            "strong",
            devices,
            1024,
            divergence(devices, (1024, 1024)),
        )
        keep("training", "weak", devices, 4 * devices, training(devices, 4 * devices))
        keep("spectral convolution", "strong", devices, 256, fourier(devices, 256))
    for devices in (d for d in (1, 4, 16) if d <= args.devices):
        steps = iterations(devices, (128, 128))
        results["iterations"].append({"devices": devices, "cells": 128, "steps": steps})
        print(f"divergence-free: {steps} steps on {devices} devices", flush=True)
    for devices in (1, min(8, args.devices), args.devices):
        mesh = mesh_of((devices,))
        for power in range(6, 10):
            n = -(-(10**power) // devices) * devices
            for gradient in (False, True):
                fn = partial(few_rows, mesh=mesh, gradient=gradient)
                found = memory(fn, *field(mesh, n, 1))
                row = {
                    "devices": devices,
                    "unknowns": n,
                    "gradient": gradient,
                    "bytes": found,
                }
                results["memory"].append(row)
                per = found["total"] * devices / n
                print(
                    f"memory: {n} unknowns, {devices} devices, gradient {gradient}: "
                    f"{found['total'] / 1e9:.3f} GB a device, {per:.1f} B an unknown",
                    flush=True,
                )
    record("scaling", results, args.output)


if __name__ == "__main__":
    main()
