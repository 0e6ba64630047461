"""`condition_nonlinear` on random problems: what is called good is optimal.

All problems share one compiled program: h(u) = A u + ½ uᵀ Q u + S sin(3 u) + E exp(u).
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.optimize

from physcon import Gaussian
from physcon._status import Outcome
from physcon.conditioning import NonlinearConstraint, condition_nonlinear

N, M = 8, 3
EPS = float(np.finfo(np.float32).eps)


class Law(eqx.Module):
    a: jax.Array
    q: jax.Array
    s: jax.Array
    e: jax.Array

    def __call__(self, u):
        bent = 0.5 * jnp.einsum("rij,i,j->r", self.q, u, u, precision="highest")
        return self.a @ u + bent + self.s @ jnp.sin(3 * u) + self.e @ jnp.exp(u)


@jax.jit
def solve(mean, std, parts, value):
    law = NonlinearConstraint(Law(*parts), value)
    return condition_nonlinear(Gaussian.diagonal(mean, std), law, throw=False)


def numpy_law(parts, u):
    """h(u) and its gradients in float64."""
    a, q, s, e = parts
    value = a @ u + 0.5 * np.einsum("rij,i,j->r", q, u, u)
    value = value + s @ np.sin(3 * u) + e @ np.exp(u)
    both = q + np.swapaxes(q, 1, 2)
    slope = a + 0.5 * both @ u + 3 * s * np.cos(3 * u) + e * np.exp(u)
    return value, slope


def draw(seed, far=2.0):
    """A problem of one of six kinds; unused rows see one point each."""
    rng = np.random.default_rng(seed)
    used = int(rng.integers(1, M + 1))
    parts = [np.zeros((M, N)), np.zeros((M, N, N)), np.zeros((M, N)), np.zeros((M, N))]
    kind = ("energy", "product", "sine", "mixed", "unit", "cubic")[seed % 6]
    a, q, s, e = parts
    a[:used] = rng.normal(size=(used, N))
    if kind == "energy":
        q[0] = np.eye(N) / N
        a[0] = 0
    elif kind == "product":
        q[:used] = rng.normal(size=q[:used].shape) * (rng.uniform(size=(N, N)) < 0.3)
    elif kind == "sine":
        s[:used] = 0.3 * rng.normal(size=(used, N))
    else:
        q[:used] = 0.3 * rng.normal(size=q[:used].shape)
        s[:used] = 0.2 * rng.normal(size=(used, N))
        e[:used] = 0.3 * rng.normal(size=(used, N))
    if kind == "unit":  # each law in a unit of its own
        units = 10.0 ** rng.uniform(-12, 12, used)
        for part in parts:
            part[:used] *= units.reshape(-1, *[1] * (part.ndim - 1))
    for row in range(used, M):
        a[row, N - 1 - row] = 1.0
    mean, std = rng.normal(size=N), np.exp(0.5 * rng.normal(size=N))
    truth = mean + far * std * rng.normal(size=N)
    mean, std, *parts = (x.astype(np.float32) for x in (mean, std, *parts))
    value = numpy_law([x.astype(float) for x in parts], truth)[0].astype(np.float32)
    return mean, std, parts, value


def judge(mean, std, parts, value, u):
    """Roundings by which the law is missed, and the distance to SLSQP's minimum.

    SLSQP is not asked where gradients of two laws agree to the rounding of float32.
    """
    mean, std, value, u, *parts = (
        np.asarray(x, float) for x in (mean, std, value, u, *parts)
    )
    h, slopes = numpy_law(parts, u)
    missed = np.abs(h - value) / (np.abs(slopes) @ np.abs(u) + np.abs(value))
    unit = np.linalg.norm(slopes * std, axis=1)

    def law(z):
        return (numpy_law(parts, mean + std * z)[0] - value) / unit

    def slope(z):
        return numpy_law(parts, mean + std * z)[1] * std / unit[:, None]

    z = (u - mean) / std
    if np.linalg.svd(slope(z), compute_uv=False)[-1] < 1e-6:
        return np.max(missed) / EPS, 0.0
    best = scipy.optimize.minimize(
        lambda z: 0.5 * z @ z,
        z,
        jac=lambda z: z,
        constraints={"type": "eq", "fun": law, "jac": slope},
        method="SLSQP",
        options={"ftol": 1e-14, "maxiter": 300},
    )
    return np.max(missed) / EPS, np.linalg.norm(best.x - z) / (1 + np.linalg.norm(z))


def test_random_problems_end_at_a_minimum():
    """Within two standard deviations all are solved; SLSQP then stays where it is."""
    for seed in range(60):
        problem = draw(seed)
        found = solve(*problem)
        assert bool(found.outcome == Outcome.good), seed
        missed, moved = judge(*problem, found.mean)
        assert missed < 4, seed
        assert moved < 3e-5, seed


def test_far_problems_are_solved_or_refused():
    """Ten standard deviations away most are solved, and no failure is called good."""
    solved = 0
    for seed in range(100, 160):
        problem = draw(seed, far=10.0)
        found = solve(*problem)
        if bool(found.outcome == Outcome.good):
            solved += 1
            missed, moved = judge(*problem, found.mean)
            assert missed < 4, seed
            assert moved < 1e-3, seed
    assert solved >= 50


@pytest.mark.parametrize("other", ["copy", "sum"])
def test_a_law_that_repeats_others_changes_nothing(other):
    """The third equation is the first, or the sum of the other two."""
    mean, std, parts, value = draw(3)
    for part in (*parts, value):
        part[1] = np.roll(part[0], 1)
        part[2] = part[0] if other == "copy" else part[0] + part[1]
    exact = [np.asarray(x, float) for x in parts]
    value = numpy_law(exact, np.asarray(mean + std, float))[0].astype(np.float32)
    value[2] = value[0] if other == "copy" else value[0] + value[1]
    found = solve(mean, std, parts, value)
    assert bool(found.outcome == Outcome.good)
    missed, _ = judge(mean, std, parts, value, found.mean)
    assert missed < 4
    # Of the first two laws alone SLSQP finds the same minimum.
    two = [x.copy() for x in parts]
    for part in two:
        part[2] = part[1]
    assert judge(mean, std, two, value[[0, 1, 1]], found.mean)[1] < 1e-4


def test_a_saddle_is_not_called_the_most_probable_field():
    """From the long axis of an ellipse the iteration stays on it, by symmetry."""
    mean = np.zeros(N, np.float32)
    mean[0] = 0.01
    parts = [np.zeros((M, N)), np.zeros((M, N, N)), np.zeros((M, N)), np.zeros((M, N))]
    parts[1][0] = np.diag([0.5, 2.0, *np.zeros(N - 2)])  # u0²/4 + u1² = 1
    parts[0][1, 2] = 1.0
    parts[0][2, 3] = 1.0
    parts = [x.astype(np.float32) for x in parts]
    value = np.array([1.0, 0.0, 0.0], np.float32)
    found = solve(mean, np.ones(N, np.float32), parts, value)
    np.testing.assert_allclose(np.abs(found.mean[:2]), [2.0, 0.0], atol=1e-5)
    assert bool(found.outcome == Outcome.not_solved)
    mean[1] = 0.01  # off the axis the nearer vertex is found
    found = solve(mean, np.ones(N, np.float32), parts, value)
    assert bool(found.outcome == Outcome.good)
    assert abs(float(found.mean[1])) > 0.99
