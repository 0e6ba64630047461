"""Rows of bench_rows.py that see disjoint points: blocks, regions, a law per point."""

import jax
import jax.numpy as jnp
import numpy as np
import scipy.sparse as sp

import physcon as pc
from _record import interleaved
from _rows_base import Work, apart, quadratic_program


class _Blocks:
    """Block means of a field by NumPy, as one would write them by hand."""

    def __init__(self, shape: tuple[int, int], k: int, mean, std, target) -> None:
        self.cut = (shape[0] // k, k, shape[1] // k, k)
        self.k, self.mean, self.std, self.target = k, mean, std, target
        self.w = mean.dtype.type(1 / k**2)

    def total(self, x: np.ndarray) -> np.ndarray:
        return x.reshape(self.cut).sum((1, 3))

    def spread(self, x: np.ndarray) -> np.ndarray:
        return np.repeat(np.repeat(x, self.k, 0), self.k, 1)

    def parts(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        variance = self.std**2
        s = self.w**2 * self.total(variance)
        return variance, s, (self.target - self.w * self.total(self.mean)) / s

    def forward(self) -> np.ndarray:
        variance, _, multiplier = self.parts()
        return self.mean + self.w * variance * self.spread(multiplier)

    def with_variance(self) -> tuple[np.ndarray, np.ndarray]:
        variance, s, multiplier = self.parts()
        gain = self.w * variance
        mean = self.mean + gain * self.spread(multiplier)
        return mean, variance - gain**2 * self.spread(1 / s)

    def gradient(self) -> tuple[np.ndarray, np.ndarray]:
        """The gradient of the sum of squares, in mean and std."""
        variance, s, multiplier = self.parts()
        u = self.mean + self.w * variance * self.spread(multiplier)
        slope = self.w * self.total(variance * 2 * u) / s
        by_mean = 2 * u - self.w * self.spread(slope)
        by_variance = (
            self.w * self.spread(multiplier) * (2 * u - self.w * self.spread(slope))
        )
        return by_mean, 2 * self.std * by_variance


def _field_of_blocks(rng: np.random.Generator):
    n, k = 128, 4
    mean = rng.normal(0.3, 1, (n, n))
    std = np.exp(0.5 * rng.normal(size=(n, n)))
    target = np.abs(rng.normal(0.5, 0.5, (n // k, n // k)))
    law = pc.block_means(jnp.ones((n, n)), k, jnp.asarray(target))
    return _Blocks((n, n), k, mean, std, target), law


def _condition(mean, std, law):
    prior = pc.Gaussian.diagonal(mean, std)
    return pc.condition(prior, law, throw=False).posterior


def blocks(rng: np.random.Generator) -> Work:
    by_hand, law = _field_of_blocks(rng)
    forward = jax.jit(lambda *a: _condition(*a).mean)
    args = jnp.asarray(by_hand.mean), jnp.asarray(by_hand.std), law
    return Work(
        "block means 128² / 4",
        "≤ 1 ms",
        lambda: forward(*args),
        {"NumPy": by_hand.forward},
        {"difference to NumPy": apart(forward(*args), by_hand.forward())},
    )


def blocks_gradient(rng: np.random.Generator) -> Work:
    by_hand, law = _field_of_blocks(rng)
    args = jnp.asarray(by_hand.mean), jnp.asarray(by_hand.std), law

    def loss(mean, std, law):
        return jnp.sum(_condition(mean, std, law).mean ** 2)

    gradient = jax.jit(jax.grad(loss, argnums=(0, 1)))
    pairs = zip(gradient(*args), by_hand.gradient(), strict=True)
    return Work(
        "the same with the gradient in mean and std",
        "≤ 3 ms",
        lambda: gradient(*args),
        {"NumPy, gradient by hand": by_hand.gradient},
        {"difference to NumPy": max(apart(a, b) for a, b in pairs)},
    )


def blocks_positive(rng: np.random.Generator) -> Work:
    by_hand, law = _field_of_blocks(rng)
    mean, std = jnp.asarray(by_hand.mean), jnp.asarray(by_hand.std)

    @jax.jit
    def positive(mean, std, law):
        prior = pc.Gaussian.diagonal(mean, std)
        return pc.bounded(prior, law, 0.0, throw=False).mean

    batched = jax.jit(jax.vmap(positive, in_axes=(0, None, None)))
    many = jnp.asarray(rng.normal(0.3, 1, (16, *mean.shape)))
    both = interleaved(
        {
            "one": lambda: positive(mean, std, law),
            "16": lambda: batched(many, std, law),
        },
        9,
    )
    facts = {
        "batch of 16 over one": both["16"]["run_s"] / both["one"]["run_s"],
        "batch of 16, s": both["16"]["run_s"],
    }
    row = by_hand.spread(np.arange(by_hand.target.size).reshape(by_hand.target.shape))
    entries = np.full(row.size, by_hand.w), (row.ravel(), np.arange(row.size))
    solve = quadratic_program(
        by_hand.mean.ravel(),
        by_hand.std.ravel(),
        sp.csc_matrix(entries),
        by_hand.target.ravel(),
        np.zeros(row.size),
    )
    peers = {}
    if solve is not None:
        peers["Clarabel at 1e-8"] = lambda: solve(1e-8)
        found = positive(mean, std, law)
        facts["difference to Clarabel at 1e-13"] = apart(found, solve(1e-13))
    return Work(
        "block means 128² / 4 with u ≥ 0",
        "≤ 20 ms; a batch of 16 ≤ 5 times one",
        lambda: positive(mean, std, law),
        peers,
        facts,
    )


def field_with_variance(rng: np.random.Generator) -> Work:
    """Float32; the memory is what the compiled program needs above its arguments."""
    shape, k = (720, 1440), 4
    mean = rng.normal(size=shape).astype(np.float32)
    std = np.exp(0.5 * rng.normal(size=shape)).astype(np.float32)
    target = rng.normal(size=(180, 360)).astype(np.float32)
    by_hand = _Blocks(shape, k, mean, std, target)
    law = pc.block_means(jnp.ones(shape, jnp.float32), k, jnp.asarray(target))

    @jax.jit
    def forward(mean, std, law):
        posterior = _condition(mean, std, law)
        return posterior.mean, posterior.variance()

    args = jnp.asarray(mean), jnp.asarray(std), law
    compiled = forward.lower(*args).compile()
    used = compiled.memory_analysis()
    assert used is not None
    size = used.temp_size_in_bytes + used.output_size_in_bytes
    pairs = zip(forward(*args), by_hand.with_variance(), strict=True)
    return Work(
        "1440 x 720 / 4 with variance, float32",
        "≤ 0.2 s, memory ≤ 3 fields",
        lambda: forward(*args),
        {"NumPy": by_hand.with_variance},
        {
            "results and temporary memory in fields": size / mean.nbytes,
            "difference to NumPy": max(apart(a, b) for a, b in pairs),
        },
    )


def regions(rng: np.random.Generator) -> Work:
    """Float32; by NumPy, Newton's method for one multiplier per region."""
    n, count = 10**6, 10**4
    labels = rng.integers(0, count, n)
    mean = rng.normal(0.5, 1, n).astype(np.float32)
    value = (100 * rng.uniform(0.5, 1, count)).astype(np.float32)
    law = pc.totals(jnp.asarray(labels), jnp.asarray(value))

    @jax.jit
    def positive(mean, law):
        prior = pc.Gaussian.diagonal(mean, jnp.ones_like(mean))
        return pc.bounded(prior, law, 0.0, throw=False).mean

    def newton():
        shift = np.zeros(count)
        for _ in range(50):
            u = np.maximum(mean + shift[labels], 0)
            missing = value - np.bincount(labels, u, count)
            if np.abs(missing).max() < 1e-6 * value.max():
                return u
            shift += missing / np.maximum(np.bincount(labels, u > 0, count), 1)
        raise RuntimeError("Newton's method did not converge")

    args = jnp.asarray(mean), law
    return Work(
        "10⁶ points, 10⁴ labelled regions, u ≥ 0, float32",
        "≤ 0.5 s",
        lambda: positive(*args),
        {"NumPy, Newton's method by regions": newton},
        {"difference to NumPy": apart(positive(*args), newton())},
    )


def species(rng: np.random.Generator) -> Work:
    """Float32: atoms of 4 elements over 12 species in 1e5 cells."""
    cells = 10**5
    atoms = rng.integers(0, 4, (4, 12)).astype(np.float32)
    mean = np.abs(rng.normal(size=(12, cells))).astype(np.float32)
    std = 0.1 * mean
    error = 1 + 0.01 * rng.normal(size=(4, cells))
    target = (atoms @ mean * error).astype(np.float32)
    law = pc.pointwise(atoms, jnp.asarray(target))
    forward = jax.jit(lambda *a: _condition(*a).mean)
    args = jnp.asarray(mean), jnp.asarray(std), law

    def by_numpy():
        variance = std.astype(float) ** 2
        s = np.einsum("ik,jk,kx->xij", atoms, atoms, variance, optimize=True)
        missing = (target - atoms @ mean).T[..., None]
        multiplier = np.linalg.solve(s, missing)[..., 0]
        return mean + variance * (atoms.T @ multiplier.T)

    found = np.asarray(forward(*args), float)
    terms = atoms @ np.abs(found) + np.abs(target)
    return Work(
        "10⁵ cells x 12 species x 4 elements, float32",
        "≤ 0.1 s, exact to 1e-6",
        lambda: forward(*args),
        {"NumPy": by_numpy},
        {
            "largest relative miss": float((abs(atoms @ found - target) / terms).max()),
            "difference to NumPy": apart(found, by_numpy()),
        },
    )
