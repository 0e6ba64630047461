"""The cost of a gradient through the implicit solver, in forward solves.

    python benchmarks/bench_inverse.py --output FILE.json

The problem is heat conduction with one conductivity per cell (64 unknowns and more), by
100 steps of backward Euler. The time of value and gradient of the misfit is divided by
the time of the model alone. Forward differences, with one solve per unknown, are the
alternative.
"""

import argparse

import jax
import jax.numpy as jnp

from _record import interleaved, record
from physcon.studies.inverse.conductivity import temperatures


def calls(cells: int, steps: int) -> dict:
    """The model, its misfit with the gradient, and one product with the Gauss-Newton
    matrix.
    """
    log_k = -1 + 0.3 * jnp.sin(2 * jnp.pi * jnp.linspace(0, 1, cells))

    def model(theta):
        return temperatures(theta, steps, 2.0)

    data = model(log_k) + 0.01

    def loss(theta):
        return 0.5 * jnp.sum((model(theta) - data) ** 2)

    def product(theta, v):
        _, pull = jax.vjp(model, theta)
        return pull(jax.jvp(model, (theta,), (v,))[1])[0]

    forward = jax.jit(loss)
    gradient = jax.jit(jax.value_and_grad(loss))
    gauss_newton = jax.jit(product)
    return {
        "forward": lambda: forward(log_k),
        "value and gradient": lambda: gradient(log_k),
        "Gauss-Newton product": lambda: gauss_newton(log_k, log_k),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", required=True)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--steps", type=int, default=100)
    options = parser.parse_args()
    rows = []
    for dtype in ("float32", "float64"):
        with jax.enable_x64(dtype == "float64"):
            for cells in (64, 1024):
                times = interleaved(calls(cells, options.steps), options.repeats)
                forward = times["forward"]["run_s"]
                for name, seconds in times.items():
                    ratio = seconds["run_s"] / forward
                    rows.append(
                        {
                            "case": name,
                            "unknowns": cells,
                            "dtype": dtype,
                            "over_forward": ratio,
                        }
                        | seconds
                    )
                    took = f"{seconds['run_s']:.2e} s"
                    print(f"{name:22s} {cells:5d} {dtype} {took} {ratio:6.2f}")
    record("inverse", {"steps": options.steps, "rows": rows}, options.output)


if __name__ == "__main__":
    main()
