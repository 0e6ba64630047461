"""Laws of conditioning for every prior and constraint of helpers.py, in float64."""

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
    dense_condition,
    dense_log_prob,
    gaussian,
    matrix,
    rows,
)
from physcon.conditioning import stack

TABLE = (
    pytest.mark.parametrize("law", CONSTRAINTS),
    pytest.mark.parametrize("root", ROOTS),
)
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
        out = pc.condition(prior, constraint, throw=False)
        prior, log_evidence = out.posterior, log_evidence + out.log_evidence
    return {
        "mean": prior.mean.ravel(),
        "covariance": prior.covariance(),
        "log_evidence": log_evidence,
        "status": out.status,
        "log_prob": prior.log_prob(prior.mean),
    }


def close(a, b, tolerance: float = 1e-12) -> None:
    np.testing.assert_allclose(
        a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max())
    )


@table
@FEW
@given(seed=SEED)
def test_equals_dense_algebra_in_any_order_and_units_of_rows(root, law, seed):
    """One test, for one compilation."""
    check_dense_algebra(root, law, seed)
    check_order_and_units_of_rows(root, law, seed)


def check_dense_algebra(root, law, seed):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, constraint = gaussian(rng, root), CONSTRAINTS[law](rng)
        got = evaluate(
            prior, constraint, jnp.asarray(rng.normal(size=prior.root.in_shape))
        )
        want = dense_condition(prior, constraint)
        assert got["status"] == 0
        # Digits lost by the textbook algebra itself, and by any other, to nearly
        # dependent rows.
        g, a = matrix(constraint.operator), matrix(prior.root)
        whitened = g @ a / np.linalg.norm(g @ a, axis=1, keepdims=True)
        loss = 1e-12 * max(1, np.linalg.cond(whitened) ** 2 / 100)
        close(got["mean"], want.mean, loss)
        close(got["covariance"], want.covariance, loss)
        close(got["variance"], np.diagonal(want.covariance), loss)
        close(got["log_evidence"], want.log_evidence, loss)
        close(
            got["log_prob"],
            dense_log_prob(want.mean, want.covariance, got["sample"]),
            1e3 * loss,
        )
        assert np.all(got["variance"] <= np.diagonal(a @ a.T) * (1 + 1e-12))
        exact = np.asarray(constraint.noise()) == 0
        for u in (got["mean"], got["sample"]):
            missed = np.abs(g @ u - constraint.value)
            scale = np.abs(g) @ np.abs(u) + np.abs(constraint.value)
            assert np.all(missed[exact] <= loss * scale[exact])


def check_order_and_units_of_rows(root, law, seed):
    """Evidence alone changes with the units: log p(d b) = log p(b) - sum log d."""
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, constraint = gaussian(rng, root), CONSTRAINTS[law](rng)
        z = jnp.asarray(rng.normal(size=prior.root.in_shape))
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


@pytest.mark.parametrize(
    ("root", "noise"),
    [
        ("diagonal", (None, None)),
        ("posterior", (None, None)),
        ("diagonal", (0.3, 0.3)),
        ("posterior", (0.3, 0.3)),
        ("diagonal", (None, 0.3)),
        ("posterior", (0.3, None)),
    ],
)
@FEW
@given(seed=SEED)
def test_sequential_equals_joint(root, noise, seed):
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior = gaussian(rng, root)
        parts = [rows(rng, m, noise) for m, noise in zip((1, 2), noise, strict=True)]
        got, want = in_turn(prior, *parts), in_turn(prior, stack(*parts))
        for name in ("mean", "covariance", "log_evidence", "log_prob"):
            close(got[name], want[name], 1e-11)


@pytest.mark.parametrize(
    ("root", "law"), [("diagonal", "integral"), ("posterior", "3 windows")]
)
@FEW
@given(seed=SEED)
def test_knowing_twice_is_knowing_once(root, law, seed):
    """condition(condition(p, c), c) == condition(p, c), and says that c was redundant
    (2).
    """
    with jax.enable_x64(True):
        rng = np.random.default_rng(seed)
        prior, constraint = gaussian(rng, root), CONSTRAINTS[law](rng)
        got, want = in_turn(prior, constraint, constraint), in_turn(prior, constraint)
        for name in ("mean", "covariance", "log_evidence", "log_prob"):
            close(got[name], want[name])
        assert (want["status"], got["status"]) == (0, 2)
