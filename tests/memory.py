"""Memory after many calls outside of jit, as in a notebook's loop.

    python -m tests.memory [calls] [function ...]

calls each of the main functions 10 000 times by default, and prints what has grown:
compiled programs, memory maps (of which Linux allows a process 65 530), arrays, and the
resident memory in MB.
"""

import gc
import sys
import time
from pathlib import Path
from typing import NamedTuple

import jax
import jax.monitoring
import jax.numpy as jnp

import physcon as pc
from physcon import conditioning, fv, models

N = 6
GRID = pc.Grid.uniform(0.0, 1.0, N)
ENDS = pc.Boundary((pc.Dirichlet(0.2), pc.Neumann(0.8)))
POINTS = GRID.coordinates[0][:, None]
KEY = jax.random.key(0)
ANP = models.ANP(dim=1, size=4, heads=2, layers=1, key=KEY)
WATER = fv.Problem(fv.PorousMedium(2.0), GRID, ENDS)
WAVE = fv.Problem(fv.Burgers(), GRID, ENDS)
compiled: list[float] = []


def _listen(event: str, duration: float, **_: object) -> None:
    if event.endswith("backend_compile_duration"):
        compiled.append(duration)


jax.monitoring.register_event_duration_secs_listener(_listen)


def prior(s):
    return pc.Gaussian.diagonal(jnp.linspace(0.2, 0.8, N) + 0.1 * s, jnp.full(N, 0.3))


def law(s):
    return pc.integral(GRID, 0.5 + 0.1 * s)


def circle(s):
    return pc.NonlinearConstraint(
        lambda u: (1 + s) * jnp.sum(u**2)[None], jnp.array([2.0])
    )


def mean(s):
    def fn(u):
        std = jnp.full(N, 0.3)
        found = pc.condition(pc.Gaussian.diagonal(u, std), law(s))
        return found.posterior.mean[0]

    return fn


#: The main functions; `s` in [0, 1] changes values and closures, never shapes.
CALLS = {
    "condition": lambda s: pc.condition(prior(s), law(s)),
    "condition, gradient": lambda s: jax.grad(mean(s))(prior(s).mean),
    "balance": lambda s: pc.condition(
        pc.Gaussian.diagonal(jnp.full((2, 3), s), jnp.ones((2, 3))),
        pc.balance(
            pc.Grid.uniform(0.0, 1.0, 3), jnp.array([0.0, 0.5]), (jnp.zeros((1, 4)),)
        ),
    ),
    "bounded": lambda s: pc.bounded(prior(s), law(s), 0.0, 1.0),
    "monotone": lambda s: conditioning.monotone(prior(s), law(s)),
    "condition_nonlinear": lambda s: pc.condition_nonlinear(prior(s), circle(s)),
    "sample_bounded": lambda s: pc.sample_bounded(
        KEY, prior(s), law(s), 0.0, 1.0, (2,), sweeps=10
    ),
    "stationary": lambda s: pc.stationary(
        prior(s).mean, lambda q: jnp.exp(-(1 + s) * q), GRID, 1.0, 0.1
    ),
    "solve": lambda s: fv.solve(
        prior(s).mean[None],
        fv.Heat(),
        GRID,
        ENDS,
        times=[0.01],
        source=lambda u, t: -s * u,
    ),
    "ssp_rk3": lambda s: fv.ssp_rk3(
        WAVE, prior(s).mean[None], jnp.asarray(0.0), jnp.asarray(0.01)
    ),
    "implicit_euler": lambda s: fv.implicit_euler(
        WATER, prior(s).mean[None], jnp.asarray(0.0), jnp.asarray(0.01)
    ),
    "predict": lambda s: models.predict(
        ANP, models.Observations(POINTS, POINTS + s), POINTS, KEY, num_samples=2
    ),
}


class Held(NamedTuple):
    """What the process holds."""

    programs: int
    maps: int
    arrays: int
    megabytes: float


def held() -> Held:
    gc.collect()
    maps = Path("/proc/self/maps").read_bytes().count(b"\n")
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return Held(len(compiled), maps, len(jax.live_arrays()), pages * 4096 / 1e6)


def growth(name: str, calls: int) -> Held:
    """What a function leaves behind after `calls` calls, the first ones apart."""
    first = 3
    for k in range(first):
        jax.block_until_ready(jax.tree.leaves(CALLS[name](k / (calls + first))))
    before = held()
    for k in range(first, calls + first):
        found = CALLS[name](k / (calls + first))
    jax.block_until_ready(jax.tree.leaves(found))
    del found
    return Held(*(b - a for a, b in zip(before, held(), strict=True)))


def main(calls: int = 10_000, *names: str) -> None:
    for name in names or CALLS:
        began = time.perf_counter()
        grown = growth(name, calls)
        seconds = time.perf_counter() - began
        print(f"{name:<22} {grown} in {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main(*(int(x) for x in sys.argv[1:2]), *sys.argv[2:])
