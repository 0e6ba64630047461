"""Laws of conditioning, over every prior x constraint of tests/helpers.py, in float64."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

import physcon as pc
from helpers import (
    CONSTRAINTS,
    ROOTS,
    SHAPE,
    dense_condition,
    dense_log_prob,
    gaussian,
    matrix,
    rows,
)

TABLE = pytest.mark.parametrize("law", CONSTRAINTS), pytest.mark.parametrize("root", ROOTS)
SEED = st.integers(0, 2**32 - 1)
FEW = settings(max_examples=3, phases=(Phase.explicit, Phase.generate))


def table(test):
    """Every prior with every constraint, on a few random data each."""
    for mark in TABLE:
        test = mark(test)
    return test


@eqx.filter_jit
def evaluate(prior: pc.Gaussian, constraint: pc.LinearConstraint, z):
    """Everything that a posterior offers, in one compiled function."""
    out = pc.condition(prior, constraint, throw=False)
    posterior = out.posterior
    u = posterior.mean + posterior.root.mv(z)
    return {
        "mean": posterior.mean.ravel(),
        "variance": posterior.variance().ravel(),
        "covariance": posterior.covariance(),
        "log_evidence": out.log_evidence,
        "residual": out.residual,
        "status": out.status,
        "sample": u.ravel(),
        "log_prob": posterior.log_prob(u),
    }


@eqx.filter_jit
def in_turn(prior: pc.Gaussian, *constraints: pc.LinearConstraint):
    """Conditioning on one constraint after the other."""
    log_evidence = jnp.zeros(())
    for constraint in constraints:
        prior, evidence, _, status = pc.condition(prior, constraint, throw=False)
        log_evidence += evidence
    return {
        "mean": prior.mean.ravel(),
        "covariance": prior.covariance(),
        "log_evidence": log_evidence,
        "status": status,
        "log_prob": prior.log_prob(prior.mean),
    }


def close(a, b, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max()))


@table
@FEW
@given(seed=SEED)
def test_equals_dense_algebra(root, law, seed):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, constraint = gaussian(rng, root), CONSTRAINTS[law](rng)
        got = evaluate(prior, constraint, jnp.asarray(rng.normal(size=SHAPE)))
        want = dense_condition(prior, constraint)
        assert got["status"] == 0
        # Digits lost by the textbook algebra itself, and by any other, to nearly dependent rows.
        g, a = matrix(constraint.operator), matrix(prior.root)
        whitened = g @ a / np.linalg.norm(g @ a, axis=1, keepdims=True)
        loss = 1e-12 * max(1, np.linalg.cond(whitened) ** 2 / 100)
        close(got["mean"], want.mean, loss)
        close(got["covariance"], want.covariance, loss)
        close(got["variance"], np.diagonal(want.covariance), loss)
        close(got["log_evidence"], want.log_evidence, loss)
        close(
            got["log_prob"], dense_log_prob(want.mean, want.covariance, got["sample"]), 1e3 * loss
        )
        assert np.all(got["variance"] <= np.diagonal(a @ a.T) * (1 + 1e-12))
        if constraint.noise_std is None:
            scale = np.abs(g) @ np.abs(got["mean"]) + np.abs(constraint.value)
            assert np.all(np.abs(g @ got["mean"] - constraint.value) <= loss * scale)
            scale = np.abs(g) @ np.abs(got["sample"]) + np.abs(constraint.value)
            assert np.all(np.abs(g @ got["sample"] - constraint.value) <= loss * scale)


@table
@FEW
@given(seed=SEED)
def test_order_and_units_of_the_rows_do_not_matter(root, law, seed):
    """Evidence alone changes with the units: log p(d b) = log p(b) - sum log d."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, constraint = gaussian(rng, root), CONSTRAINTS[law](rng)
        z = jnp.asarray(rng.normal(size=SHAPE))
        m = constraint.value.size
        order, units = rng.permutation(m), 10 ** rng.uniform(-12, 12, m)
        noise = constraint.noise_std
        other = pc.LinearConstraint(
            pc.Rows((constraint.operator.rows() * units[:, None, None])[order]),
            (constraint.value * units)[order],
            None if noise is None else (noise * units)[order],
        )
        got, want = evaluate(prior, other, z), evaluate(prior, constraint, z)
        for name in ("mean", "covariance", "variance", "log_prob"):
            if name == "log_prob" and noise is not None:
                continue  # another root of the same covariance: another sample
            close(got[name], want[name], 1e-8 if law == "5 moments" else 1e-10)
        close(got["log_evidence"], want["log_evidence"] - np.sum(np.log(units)), 1e-7)


@pytest.mark.parametrize("noise", [None, 0.3])
@pytest.mark.parametrize("root", ROOTS)
@FEW
@given(seed=SEED)
def test_sequential_equals_joint(root, noise, seed):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, joint = gaussian(rng, root), rows(rng, 3, noise)
        parts = [
            pc.LinearConstraint(
                pc.Rows(joint.operator.weights[part]),
                joint.value[part],
                None if noise is None else joint.noise_std[part],
            )
            for part in (slice(0, 1), slice(1, 3))
        ]
        got, want = in_turn(prior, *parts), in_turn(prior, joint)
        for name in ("mean", "covariance", "log_evidence", "log_prob"):
            close(got[name], want[name], 1e-11)


@pytest.mark.parametrize("law", ["integral", "3 windows"])
@pytest.mark.parametrize("root", ["diagonal", "posterior"])
@FEW
@given(seed=SEED)
def test_knowing_twice_is_knowing_once(root, law, seed):
    """condition(condition(p, c), c) == condition(p, c), and says that c was redundant (2)."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, constraint = gaussian(rng, root), CONSTRAINTS[law](rng)
        got, want = in_turn(prior, constraint, constraint), in_turn(prior, constraint)
        for name in ("mean", "covariance", "log_evidence", "log_prob"):
            close(got[name], want[name])
        assert (want["status"], got["status"]) == (0, 2)
