"""Finite volumes cell by cell against whole arrays, on this device.

    python benchmarks/device_cells.py --output out/cells.json [--toy]

The scheme of a problem says how its tendency is evaluated; "auto" chooses by the
device. Steps of the Euler equations in two dimensions are timed with every choice, next
to a copy of the state.
"""

import argparse
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

import physcon as pc
from _record import interleaved, record
from physcon import fv

CHOICES = ("staged", "fused", "cells")


def compared(side: int, repeats: int) -> dict[str, Any]:
    """Seconds of a tendency by every choice, and the bytes per second that they are."""
    grid = pc.Grid.uniform((0, 0), (1, 1), (side, side))
    torus = pc.Boundary(pc.Periodic(), pc.Periodic())
    values = (1.0, 0.1, 0.0, 2.5)
    u = jnp.stack([jnp.full((side, side), v, jnp.float32) for v in values])
    schemes = {"muscl": (fv.MUSCL(), fv.hllc), "weno5": (fv.WENO(5), fv.hllc)}
    rows: dict[str, Any] = {}
    for name, (reconstruct, riemann) in schemes.items():
        fns = {"copy": partial(jax.jit(lambda u: u + 1), u)}
        for choice in CHOICES:
            scheme = fv.Scheme(reconstruct, riemann, evaluate=choice)

            def tendency(u: Any, scheme: fv.Scheme = scheme) -> Any:
                return fv.tendency(u, fv.Euler(), grid, torus, scheme)

            fns[choice] = partial(jax.jit(tendency), u)
        times = interleaved(fns, repeats)
        rows[name] = {
            choice: {
                **times[choice],
                "over_copy": times[choice]["run_s"] / times["copy"]["run_s"],
            }
            for choice in fns
        }
    return {"side": side, "bytes": u.nbytes, "schemes": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--toy", action="store_true", help="small sizes")
    parser.add_argument("--output", default="out/cells.json")
    args = parser.parse_args()
    side, repeats = (16, 3) if args.toy else (2048, 20)
    record("device_cells", compared(side, repeats), args.output)


if __name__ == "__main__":
    main()
