"""Limits of a device: the bandwidth of a large copy, the rate of a matrix product."""

import jax
import jax.numpy as jnp

from _record import interleaved


def ceilings(repeats: int = 5) -> dict[str, float]:
    """Bytes per second read and written by ``x + 1``, in a loop in place and in a call
    of its own (where a CPU's operating system hands out fresh pages for the result:
    most of the time); float32 operations per second of ``a @ b``, at full and at
    default precision (TF32 or bfloat16 where a device has them).
    """
    large = jax.default_backend() != "cpu"
    n, side = (2**28, 8192) if large else (2**25, 2048)
    x, a = jnp.ones(n, jnp.float32), jnp.ones((side, side), jnp.float32)
    copy = jax.jit(lambda x: x + 1)
    chain = 8  # steps in one program: its start, and fresh pages of memory, cost little
    copies = jax.jit(lambda x: jax.lax.fori_loop(0, chain, lambda _, y: y + 1, x))

    def product(precision: str):
        step = lambda _, y: jnp.matmul(a, y, precision=precision) * (1 / side)  # noqa: E731
        return jax.jit(lambda a: jax.lax.fori_loop(0, chain, step, a))

    products = {name: product(name) for name in ("highest", "default")}
    fns = {"copy": lambda: copy(x), "copies": lambda: copies(x)} | {
        k: (lambda f=f: f(a)) for k, f in products.items()
    }
    times = interleaved(fns, repeats)
    work = 2 * side**3 * chain
    fastest = min(times["copy"]["run_min_s"], times["copies"]["run_min_s"] / chain)
    return {
        "copy_bytes_per_s": 2 * x.nbytes / fastest,
        "single_copy_bytes_per_s": 2 * x.nbytes / times["copy"]["run_min_s"],
        "matmul_flop_per_s": work / times["highest"]["run_min_s"],
        "matmul_default_precision_flop_per_s": work / times["default"]["run_min_s"],
    }
