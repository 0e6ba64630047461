"""The cost of a gradient, a batch and a second core: the second half of bench_fv.py."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from _record import interleaved
from physcon.fv import solve

#: The option with which `solve` compiles itself outside of `jax.jit`.
WIDE = {"xla_cpu_prefer_vector_width": 512}


def gradient(problem, scheme, repeats: int, steps: int = 500) -> dict[str, Any]:
    """Time, memory, compile time and size of the gradient of a solve, compared with
    the solve.
    """
    u, law, grid, boundary = problem
    end = _time_of(problem, scheme, steps)

    def final(u, loop):
        options = {
            "times": end[None],
            "cfl": 0.4,
            "max_steps": steps + 12,
            "throw": False,
        }
        return solve(u, law, grid, boundary, scheme, loop=loop, **options)

    def loss(u):
        return jnp.sum(final(u, "checkpointed").u[0, 0] ** 2)

    programs = {
        "forward": lambda u: final(u, "while"),
        "gradient": jax.grad(loss),
        "tangent": lambda u: jax.jvp(lambda v: final(v, "while").u, (u,), (u,)),
    }
    runs, compile_s = {}, {}
    for name, program in programs.items():
        begin = time.process_time()
        runs[name] = jax.jit(program).lower(u).compile()
        compile_s[name] = time.process_time() - begin
    times = interleaved(
        {name: (lambda run=run: run(u)) for name, run in runs.items()}, repeats
    )
    row: dict[str, Any] = {"dimensions": grid.ndim, "cells": grid.size}
    row["steps"] = int(runs["forward"](u).steps)
    for name, run in runs.items():
        row[f"{name}_s"] = times[name]["run_s"]
        row[f"{name}_over_forward"] = times[name]["run_s"] / times["forward"]["run_s"]
        row[f"{name}_temporary_bytes"] = run.memory_analysis().temp_size_in_bytes
        row[f"{name}_compile_cpu_s"] = compile_s[name]
        row[f"{name}_instructions"] = run.as_text().count(" = ")
    row["state_bytes"] = u.nbytes
    return row


def batch(
    problem, scheme, repeats: int, size: int = 64, steps: int = 200
) -> dict[str, Any]:
    """Time of one vmap over problems of different energy, of a map over them, and of
    that many single solves.
    """
    u, law, grid, boundary = problem
    end = _time_of(problem, scheme, steps)
    many = jnp.stack([u * (1 + 0.1 * k / size) for k in range(size)])

    def one(u):
        return solve(
            u, law, grid, boundary, scheme, times=end[None], cfl=0.4, throw=False
        ).u

    single, batched = jax.jit(one), jax.jit(jax.vmap(one))
    mapped = jax.jit(lambda many: jax.lax.map(one, many))
    calls = {
        "vmap": lambda: batched(many),
        "map": lambda: mapped(many),
        "single": lambda: [single(u) for u in many],
    }
    times = interleaved(calls, repeats)
    vmap_s, single_s = times["vmap"]["run_s"], times["single"]["run_s"]
    return {
        "cells": grid.size,
        "problems": size,
        "vmap_s": vmap_s,
        "one_by_one_s": single_s,
        "vmap_over_one_by_one": vmap_s / single_s,
        "map_over_one_by_one": times["map"]["run_s"] / single_s,
    }


def _time_of(problem, scheme, steps: int) -> jax.Array:
    """The time reached after some steps."""
    u, law, grid, boundary = problem
    options = {"times": jnp.asarray([1e9], u.dtype), "cfl": 0.4, "max_steps": steps}
    return jax.jit(
        lambda u: solve(u, law, grid, boundary, scheme, throw=False, **options).t
    )(u)


#: Cores and devices of a worker, by the name in the results.
_WAYS = {"one core": (1, 1), "two cores": (2, 1), "two devices": (2, 2)}


def second_core(
    script: Path, arguments: list[str], rounds: int = 1
) -> dict[str, Any] | None:
    """Best rates of `script --worker` on one core, on two, and on two with the grid
    divided between two CPU devices, each in a process of its own, in turn; None
    without a second core.
    """
    if not hasattr(os, "sched_setaffinity") or (os.cpu_count() or 1) < 2:
        return None
    ours = sorted(os.sched_getaffinity(0))
    cores = [*ours, *sorted(set(range(os.cpu_count() or 1)) - set(ours))][:2]
    rates: dict[str, dict[str, float]] = {way: {} for way in _WAYS}
    for _ in range(rounds):
        for way, (count, devices) in _WAYS.items():
            chosen = ["--cores", *map(str, cores[:count]), *arguments]
            command = [sys.executable, str(script), "--worker", *chosen]
            flags = f"--xla_force_host_platform_device_count={devices}"
            settings = os.environ | {"XLA_FLAGS": flags}
            done = subprocess.run(
                command, capture_output=True, text=True, check=True, env=settings
            )
            found = json.loads(done.stdout.splitlines()[-1])
            for name, rate in found.items():
                rates[way][name] = max(rates[way].get(name, 0.0), rate)
    return {
        name: {
            **{way: rates[way][name] for way in _WAYS},
            "two cores over one": rates["two cores"][name] / one,
            "two devices over one core": rates["two devices"][name] / one,
        }
        for name, one in rates["one core"].items()
    }
