"""Whether the laws hold to rounding on this device, at full and at reduced precision.

    python benchmarks/device_exactness.py --output out/exactness.json [--toy]

Matrix products of an accelerator round their inputs to TF32 or bfloat16 by default; the
algebra of the laws has to ask for more by itself. Each law is applied to a batch with
JAX's default precision set to float32 and then to tensorfloat32. The number is the
largest |b - G u| over eps (|G| |u| + |b|), computed on the host in float64, with eps of
float32; the promise is 4. A law above 4 makes the command fail, after it has written.
"""

import argparse
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from _record import record

PROMISE = 4.0


def missed(weights: np.ndarray, fields: Any, values: np.ndarray) -> float:
    """The largest residual of dense rows ``(m, n)`` over a batch, in units of eps."""
    u = np.asarray(fields, np.float64).reshape(len(values), -1)
    values = np.asarray(values, np.float64)
    residual = np.abs(values - u @ weights.T)
    size = np.abs(u) @ np.abs(weights).T + np.abs(values)
    return float((residual / size).max() / np.finfo(np.float32).eps)


def laws(n: int, batch: int) -> dict[str, Callable[[], float]]:
    """Functions that apply a law on the device and return how far it is missed."""
    rng = np.random.default_rng(0)
    side = int(n**0.5)
    shape = (batch, side, side)
    mean = jnp.asarray(rng.normal(1, 1, shape), jnp.float32)
    std = jnp.asarray(10 ** rng.uniform(-3, 0, shape), jnp.float32)
    grid = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (side, side))
    rows = jnp.asarray(rng.normal(size=(5, side, side)), jnp.float32)
    members = jnp.asarray(rng.normal(1, 1, (16, side, side)), jnp.float32)
    blocks = jnp.asarray(rng.uniform(0.5, 2, (batch, side // 4, side // 4)))
    totals = jnp.asarray(rng.uniform(0.5, 2, batch), jnp.float32)
    many = jnp.asarray(rng.normal(size=(batch, 5)), jnp.float32)

    def conditioned(mean: Any, std: Any, law: pc.LinearConstraint) -> Any:
        prior = pc.Gaussian.diagonal(mean, std)
        return pc.condition(prior, law, throw=False).posterior.mean

    def total() -> float:
        of = jax.jit(jax.vmap(lambda m, s, b: conditioned(m, s, pc.integral(grid, b))))
        weights = np.asarray(grid.weights(), np.float64).reshape(1, -1)
        return missed(weights, of(mean, std, totals), np.asarray(totals)[:, None])

    def five(prior: Callable[[Any, Any], pc.Gaussian]) -> float:
        def one(m: Any, s: Any, b: Any) -> Any:
            law = pc.LinearConstraint(pc.Rows(rows), b)
            return pc.condition(prior(m, s), law, throw=False).posterior.mean

        weights = np.asarray(rows, np.float64).reshape(5, -1)
        fields = jax.jit(jax.vmap(one))(mean, std, many)
        return missed(weights, fields, np.asarray(many, np.float64))

    def block_means(bounded: bool) -> float:
        areas = jnp.ones((side, side), jnp.float32)

        def one(m: Any, s: Any, b: Any) -> Any:
            law = pc.block_means(areas, 4, b)
            if bounded:
                prior = pc.Gaussian.diagonal(m, s)
                return pc.bounded(prior, law, lower=0.0, throw=False).mean
            return conditioned(m, s, law)

        found = np.asarray(jax.jit(jax.vmap(one))(mean, std, blocks), np.float64)
        cut = found.reshape(batch, side // 4, 4, side // 4, 4)
        values = np.asarray(blocks, np.float64)
        residual = np.abs(values - cut.mean((2, 4)))
        size = np.abs(cut).mean((2, 4)) + values
        below = 1e9 if bounded and found.min() < 0 else 0.0
        return float((residual / size).max() / np.finfo(np.float32).eps) + below

    def ensemble(m: Any, s: Any) -> pc.Gaussian:
        return pc.Gaussian(m, pc.Gaussian.from_samples(members).root)

    return {
        "one total": total,
        "five dense rows": lambda: five(pc.Gaussian.diagonal),
        "five dense rows, ensemble of 16": lambda: five(ensemble),
        "block means": lambda: block_means(False),
        "block means, u >= 0": lambda: block_means(True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--toy", action="store_true", help="small sizes")
    parser.add_argument("--output", default="out/exactness.json")
    args = parser.parse_args()
    n, batch = (16**2, 2) if args.toy else (256**2, 16)
    found: dict[str, dict[str, float]] = {}
    for precision in ("float32", "tensorfloat32"):
        with jax.default_matmul_precision(precision):
            for name, law in laws(n, batch).items():
                found.setdefault(name, {})[precision] = law()
        record("device_exactness", {"eps": found, "points": n}, args.output)
    wrong = {name: v for name, v in found.items() if max(v.values()) > PROMISE}
    print(found)
    if wrong:
        raise SystemExit(f"expected at most {PROMISE} eps everywhere, got {wrong}")


if __name__ == "__main__":
    main()
