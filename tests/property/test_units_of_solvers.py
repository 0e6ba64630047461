"""Every solver, and what is built on them, in any unit of the field and of each row.

Means, standard deviations, their gradients, and outcomes. One jitted program per case
is run at every scale. A gradient in float32 was zero or NaN where squares of weights or
standard deviations are out of its range.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import conditioning as pcc
from physcon._status import Outcome
from physcon.linear_map import Rows, Sparse

#: Sizes of the field, and of the weights of some rows and of the others.
SCALES = (
    (1e-30, (1.0, 1.0)),
    (1e30, (1.0, 1.0)),
    (1.0, (1e-30, 1e-30)),
    (1.0, (1e30, 1e30)),
    (1e-15, (1e-15, 1e-15)),
    (1.0, (1e-30, 1.0)),
    (1.0, (1e30, 1e-30)),
)
MEAN = np.array([0.1, -0.3, 0.8, 0.4, 1.2, 0.6], np.float32)
STD = np.array([0.3, 0.5, 0.2, 0.4, 0.6, 0.3], np.float32)
MATRIX = np.array(
    [[1, 1, 0, 0, 0, 0], [0, 1, -2, 1, 0, 0], [0, 0, 0, 1, 1, 0], [2, 0, 0, 0, 0, 1]],
    np.float32,
)
ROW, COLUMN = np.nonzero(MATRIX)
VALUE = np.array([0.7, 0.2, 1.5, 1.0], np.float32)
REGION = np.array([0, 0, 0, 1, 1, 1])
PAIRS = np.array([[1.0, 1.0], [0.5, -1.0]], np.float32)


def sparse(u, w, noise=None):
    w = w[np.array([0, 1, 1, 0])]
    operator = Sparse.of(w[ROW] * MATRIX[ROW, COLUMN], ROW, COLUMN, (6,), 4)
    noise = None if noise is None else noise * u * w * jnp.ones(4)
    return pc.LinearConstraint(operator, u * w * VALUE, noise)


def totals(u, w):
    weights = w[REGION] * jnp.arange(1.0, 7.0)
    return pc.totals(REGION, u * w * jnp.array([1.0, 3.0]), weights=weights)


def solved(solver, law_of, prior_of=pc.Gaussian.diagonal):
    def moments(mean, std, u, w):
        found = pc.condition(
            prior_of(mean, std), law_of(u, w), solver=solver, throw=False
        )
        return found.posterior.mean, found.posterior.std(), found.outcome

    return moments


def ensemble(mean, std):
    members = jnp.stack([mean + std, mean - std, mean + std * jnp.cos(jnp.arange(6))])
    return pc.Gaussian.from_samples(members, std)


def with_a_dense_row(u, w):
    row = pc.LinearConstraint(Rows(w[:1, None] * jnp.ones((1, 6))), 3 * u * w[:1])
    return pc.stack(sparse(u, w), row)


def pairs(mean, std):
    return pc.Gaussian.diagonal(mean.reshape(2, 3), std.reshape(2, 3))


def at_points(u, w):
    w = w[:, None]
    values = u * w * jnp.array([[1.0, 0.5, 0.2], [0.1, 0.2, 0.3]])
    return pc.pointwise(w * PAIRS, values, 0.1 * u * w * jnp.ones((2, 3)))


def ordered(mean, std, u, w):
    law = pc.LinearConstraint(Rows(jnp.ones((1, 2, 3))), 2 * u * jnp.ones(1))
    found = pc.ordered(pairs(mean, std), law, lower=0.0, throw=False)
    return found.mean, found.posterior.std(), found.outcome


def simplex(mean, std, u, w):
    thirds = pc.Gaussian.diagonal(mean.reshape(3, 2), std.reshape(3, 2))
    found = pc.simplex(thirds, total=u, throw=False)
    return found.mean, found.posterior.std(), found.outcome


def relative(mean, std, u, w):
    found = pc.condition_relative(
        jnp.abs(mean), totals(u, w), (std / u) ** 2, throw=False
    )
    return found.mean, u * w * found.multiplier, found.outcome


def profile(mean, std, u, w):
    prior = pc.Gaussian.diagonal(mean, std)
    law = pc.LinearConstraint(Rows(w[:1, None] * jnp.ones((1, 6))), 3 * u * w[:1])
    found = pcc.monotone(prior, law, 0.0, u, throw=False)
    return found.mean, found.posterior.std(), found.outcome


SPARSE = pcc.SparseCholesky()
CASES = {
    "SparseCholesky": solved(SPARSE, lambda u, w: sparse(u, w, 0.1)),
    "ConjugateGradient": solved(pcc.ConjugateGradient(), sparse),
    "Woodbury": solved(pcc.Woodbury(SPARSE), sparse, ensemble),
    "Bordered": solved(pcc.Bordered(SPARSE), with_a_dense_row),
    "DiagonalGram": solved(pcc.DiagonalGram(), totals),
    "BlockGram": solved(pcc.BlockGram(), at_points, pairs),
    "ordered": ordered,
    "simplex": simplex,
    "condition_relative": relative,
    "monotone": profile,
}


def program(name):
    """Means and deviations in units, and their gradients."""

    @jax.jit
    def run(u, w):
        def moments(mean, std):
            mean, spread, outcome = CASES[name](mean, std, u, w)
            return (mean, spread), outcome

        args = u * MEAN, u * STD
        found, pull, outcome = jax.vjp(moments, *args, has_aux=True)
        slopes = pull(jax.tree.map(lambda x: jnp.cos(x / u), found))
        return *(x / u for x in found), *slopes, outcome

    return run


@pytest.mark.parametrize("name", CASES)
def test_units_do_not_matter(name):
    run = program(name)
    *want, outcome = run(1.0, jnp.ones(2))
    assert bool(outcome == Outcome.good)
    assert all(np.ptp(x) > 1e-3 for x in want)
    for scale in SCALES:
        u, w = scale
        *got, outcome = run(u, jnp.asarray(w))
        assert bool(outcome == Outcome.good), scale
        for a, b in zip(got, want, strict=True):
            size = 2e-5 * (1 + np.abs(b).max())
            np.testing.assert_allclose(a, b, atol=size, rtol=0, err_msg=str(scale))


@pytest.mark.parametrize("name", CASES)
def test_units_do_not_matter_in_float64(name, x64):
    run = program(name)
    *want, outcome = run(jnp.float64(1), jnp.ones(2))
    assert bool(outcome == Outcome.good)
    for u, w in ((1e-100, (1.0, 1.0)), (1e100, (1.0, 1.0)), (1.0, (1e-100, 1.0))):
        *got, outcome = run(jnp.float64(u), jnp.asarray(w))
        assert bool(outcome == Outcome.good), (u, w)
        for a, b in zip(got, want, strict=True):
            size = 1e-12 * (1 + np.abs(b).max())
            np.testing.assert_allclose(a, b, atol=size, rtol=0, err_msg=str((u, w)))


def test_diagnosis_in_any_unit():
    """One flow is not measured; scores, classes and benefits are numbers."""
    law = pc.incidence([[-1, 0], [0, 1], [0, 2], [1, 2], [2, -1]], 3)
    flows = np.array([3.0, 1.0, 2.0, 4.0, 0.0], np.float32)
    std = np.array([0.1, 0.2, 0.1, 0.1, np.inf], np.float32)

    def tests(unit):
        prior = pc.Gaussian.diagonal(np.float32(unit) * flows, np.float32(unit) * std)
        found = pc.diagnose(prior, law, with_benefit=True)
        return found._replace(adjustment=found.adjustment / np.float32(unit))

    want = tests(1.0)
    assert want.suspects.tolist()[0] == 3
    for unit in (1e-30, 1e30):
        for a, b in zip(tests(unit), want, strict=True):
            if not isinstance(b, Outcome):
                np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-5)
