"""Fields within bounds, nonlinear laws and estimates do not depend on units.

One jitted program per case is run at every scale, of the field or of a row's weights.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import conditioning as pcc
from physcon import inverse
from physcon._status import Outcome

SCALES = (1e-30, 1e-20, 1e20, 1e30)
GRID = pc.Grid.uniform(0.0, 1.0, 6)
MEAN = np.array([0.1, -0.3, 0.8, 0.4, 1.2, 0.6], np.float32)
STD = np.array([0.3, 0.5, 0.2, 0.4, 0.6, 0.3], np.float32)
ROWS = np.stack([np.ones(6), np.arange(6.0)]).astype(np.float32)
VALUE = np.array([3.0, 7.0], np.float32)


def prior(unit):
    return pc.Gaussian.diagonal(unit * MEAN, unit * STD)


def moments(found, unit):
    spread = found.posterior.std() / unit
    return jnp.concatenate([found.mean / unit, spread]), found.outcome


def in_a_box(unit):
    law = pc.LinearConstraint(pc.Rows(jnp.asarray(ROWS)), unit * VALUE)
    return moments(pc.bounded(prior(unit), law, 0.0, unit, throw=False), unit)


def weights_in_a_box(unit):
    law = pc.LinearConstraint(pc.Rows(unit * ROWS), unit * VALUE)
    one = jnp.ones((), unit.dtype)
    return moments(pc.bounded(prior(one), law, 0.0, 1.0, throw=False), one)


def profile(unit):
    law = pc.integral(GRID, 0.5 * unit)
    return moments(pcc.monotone(prior(unit), law, 0.0, unit, throw=False), unit)


def nonlinear(unit):
    law = pcc.NonlinearConstraint(
        lambda u: unit * jnp.sum((u / unit) ** 2)[None], 2 * unit * jnp.ones(1)
    )
    return moments(pcc.condition_nonlinear(prior(unit), law, throw=False), unit)


def draws(unit):
    law = pc.integral(GRID, 0.5 * unit)
    key = jax.random.key(0)
    found = pcc.sample_bounded(
        key,
        prior(unit),
        law,
        0.0,
        unit,
        (2,),
        sweeps=30,
        with_outcome=True,
        throw=False,
    )
    return found.draws.ravel() / unit, found.outcome


def estimate(unit):
    found = inverse.least_squares(
        lambda t: (t / unit) ** 2 - 1, prior(unit), throw=False
    )
    spread = found.posterior.std() / unit
    return jnp.concatenate([found.parameters / unit, spread]), found.outcome


CASES = [in_a_box, weights_in_a_box, profile, nonlinear, draws, estimate]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_units_do_not_matter(case):
    run = jax.jit(case)
    want, outcome = run(jnp.float32(1))
    assert bool(outcome == Outcome.good)
    assert np.ptp(want) > 0.3
    for scale in SCALES:
        got, outcome = run(jnp.float32(scale))
        assert bool(outcome == Outcome.good), scale
        np.testing.assert_allclose(got, want, rtol=1e-6, atol=1e-6, err_msg=str(scale))
