"""Messages, bytes and memory of divided programs, counted in the compiled programs.

    python benchmarks/bench_scaling.py [--devices 64] [--output ...]

Every program is compiled for 1, 2, 4, ... virtual devices from shapes alone. Nothing
runs and no array is made, so the counts hold on any machine. Per device they are the
messages and bytes that each kind of collective sends in one step (in one iteration of
conjugate gradients) and, for `condition`, the bytes of arguments, results and
temporaries for up to 10⁹ unknowns. Weak scaling keeps the work per device, strong
scaling the total work. The number of iterations is the only result for which programs
run. `python docs/evidence_tables.py` makes the tables of docs/scaling.md, where a
stated model turns the counts into times.
"""

import argparse
from functools import partial
from pathlib import Path
from typing import Any

import jax

import _scaling_programs as programs
from _record import RESULTS, record
from physcon import fv

_SCHEMES = {"muscl": fv.Scheme(fv.MUSCL()), "weno5": fv.Scheme(fv.WENO(5))}


def messages(most: int) -> list[dict[str, Any]]:
    """Rows about what programs send, on up to this many devices."""
    rows: list[dict[str, Any]] = []

    def keep(what: str, scaling: str, devices: int, size: int, sent: dict) -> None:
        row = {"what": what, "scaling": scaling, "devices": devices, "size": size}
        rows.append(row | {"sent": sent})
        short = {kind: f"{v['count']} x, {v['bytes']} B" for kind, v in sent.items()}
        print(f"{what}, {scaling}, {devices} devices, {size}: {short}", flush=True)

    for devices in (d for d in (1, 8, 64) if d <= most):
        across = round(devices ** (1 / 3))
        for name, scheme in _SCHEMES.items():
            for scaling, side in (("weak", 64 * across), ("strong", 256)):
                found = programs.finite_volumes(devices, (side,) * 3, scheme)
                keep(f"finite volumes, {name}", scaling, devices, side, found)
        across = round(devices**0.5)
        for scaling, side in (("weak", 24 * across), ("strong", 96)):
            found = programs.cells(devices, side, fv.Scheme(fv.Linear(), fv.hllc))
            keep("cells of a mesh", scaling, devices, 2 * side**2, found)
    for devices in (2**k for k in range(0, most.bit_length(), 2)):
        mesh = programs.mesh_of((devices,))
        update = partial(programs.few_rows, mesh=mesh)
        for count in (1, 10):
            for scaling, n in (("weak", 10**6 * devices), ("strong", 2**24)):
                found = programs.counts(update, *programs.field(mesh, n, count))
                keep(f"condition, {count} rows", scaling, devices, n, found)
        found = programs.divergence(devices, (1024, 1024))
        keep("divergence-free", "strong", devices, 1024, found)
        batch = 4 * devices
        keep("training", "weak", devices, batch, programs.training(devices, batch))
        found = programs.fourier(devices, 256)
        keep("spectral convolution", "strong", devices, 256, found)
    return rows


def iterations(most: int) -> list[dict[str, Any]]:
    """Rows about the steps of conjugate gradients, whose blocks precondition alone."""
    rows = []
    for devices in (d for d in (1, 4, 16) if d <= most):
        steps = programs.iterations(devices, (128, 128))
        rows.append({"devices": devices, "cells": 128, "steps": steps})
        print(f"divergence-free: {steps} steps on {devices} devices", flush=True)
    return rows


def memory(most: int) -> list[dict[str, Any]]:
    """Rows about the bytes of conditioning on one row, with and without gradient."""
    rows = []
    for devices in (1, min(8, most), most):
        mesh = programs.mesh_of((devices,))
        for power in range(6, 10):
            n = -(-(10**power) // devices) * devices
            for gradient in (False, True):
                update = partial(programs.few_rows, mesh=mesh, gradient=gradient)
                found = programs.memory(update, *programs.field(mesh, n, 1))
                row = {"devices": devices, "unknowns": n, "gradient": gradient}
                rows.append(row | {"bytes": found})
                per = found["total"] * devices / n
                what = f"memory: {n} unknowns, {devices} devices, gradient {gradient}"
                print(f"{what}: {per:.1f} B an unknown", flush=True)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--devices", type=int, default=64)
    parser.add_argument("--output", type=Path, default=RESULTS / "bench_scaling.json")
    args = parser.parse_args()
    # Counts are the same for every kind of device.
    jax.config.update("jax_platforms", "cpu")
    jax.config.update("jax_num_cpu_devices", args.devices)
    results = {
        "messages": messages(args.devices),
        "iterations": iterations(args.devices),
        "memory": memory(args.devices),
    }
    record("scaling", results, args.output)


if __name__ == "__main__":
    main()
