"""Malformed calls of the bounded family: each gets its message."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import Gaussian, LinearConstraint, Rows, integral
from physcon.conditioning import (
    NonlinearConstraint,
    bounded,
    condition_nonlinear,
    monotone,
    reachable,
    sample_bounded,
)

PRIOR = Gaussian.diagonal(jnp.zeros(4), jnp.ones(4))
LAW = integral(jnp.ones(4), 2.0)
TWO = LinearConstraint(Rows(jnp.eye(2, 4)), jnp.ones(2))
DENSE = Gaussian(jnp.zeros(4), Rows(jnp.eye(4)))
LARGE = Gaussian(jnp.zeros(4096), Rows(jnp.ones((4096, 1))))
GRID = Gaussian.diagonal(jnp.zeros((2, 4)), jnp.ones((2, 4)))
KEY = jax.random.key(0)


def on_circle(value):
    return NonlinearConstraint(lambda u: jnp.sum(u**2)[None], value)


MALFORMED = {
    "field of another shape": (
        lambda: bounded(GRID, LAW),
        r"fields of shape \(2, 4\).*vmap",
    ),
    "dense prior": (
        lambda: sample_bounded(KEY, DENSE, LAW, 0.0),
        "diagonal prior, got a root of type Rows",
    ),
    "large dense prior": (
        lambda: bounded(LARGE, integral(jnp.ones(4096), 2.0), 0.0),
        "at most 4096 rows and points for a root of type RootOf, got 4097",
    ),
    "lower of another shape": (
        lambda: bounded(PRIOR, LAW, jnp.zeros(3)),
        r"lower a scalar or.*4,",
    ),
    "upper of another shape": (
        lambda: bounded(PRIOR, LAW, 0.0, np.ones((1, 4))),
        "upper a scalar",
    ),
    "out of reach below": (
        lambda: bounded(PRIOR, LAW, 1.0),
        r"row 0 got 2, out of reach \[4, inf\] by 2; widen",
    ),
    "out of reach above": (lambda: bounded(PRIOR, LAW, 0.0, 0.25), r"reach \[0, 1\]"),
    "second row out of reach": (
        lambda: bounded(PRIOR, TWO, jnp.arange(4.0) * 2),
        r"row 1 got 1, out of reach \[2, inf\] by 1; widen",
    ),
    "pinned points": (
        lambda: bounded(Gaussian.diagonal(jnp.zeros(4), jnp.zeros(4)), LAW, 0.0),
        r"reach \[0, 0\]",
    ),
    "reach of a larger field": (lambda: reachable(GRID, LAW), "vmap"),
    "sampling with a row per point": (
        lambda: sample_bounded(
            KEY, PRIOR, LinearConstraint(Rows(jnp.eye(4)), jnp.ones(4)), 0.0
        ),
        "fewer rows than the field's 4 points, got 4",
    ),
    "sampling a noisy row": (
        lambda: sample_bounded(KEY, PRIOR, integral(jnp.ones(4), 2.0, 0.1), 0.0),
        "an exact row",
    ),
    "monotone on a grid": (
        lambda: monotone(GRID, integral(jnp.ones((2, 4)), 1.0)),
        r"profiles of shape \(n,\)",
    ),
    "monotone with two rows": (lambda: monotone(PRIOR, TWO), "one row, got 2"),
    "monotone with a field of bounds": (
        lambda: monotone(PRIOR, LAW, jnp.zeros(4)),
        "scalar lower",
    ),
    "monotone dense": (lambda: monotone(DENSE, LAW), "diagonal prior"),
    "law of another shape": (
        lambda: condition_nonlinear(PRIOR, on_circle(jnp.ones(2))),
        r"h\(u\) of shape \(2,\), got \(1,\)",
    ),
    "scalar law": (
        lambda: condition_nonlinear(
            PRIOR, NonlinearConstraint(lambda u: jnp.sum(u)[None, None], jnp.ones(1))
        ),
        "one number per equation",
    ),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_message(name):
    call, message = MALFORMED[name]
    with pytest.raises(ValueError, match=message):
        call()


#: mean, std, value, lower, upper, message
AT_RUN_TIME = {
    "NaN": (jnp.nan, 1.0, 2.0, 0.0, 1.0, "finite mean"),
    "infinite std": (0.0, jnp.inf, 2.0, 0.0, 1.0, "finite mean"),
    "NaN bound": (0.0, 1.0, 2.0, jnp.nan, 1.0, "bounds that are numbers"),
    "crossed bounds": (0.0, 1.0, 2.0, 1.0, 0.0, "lower <= upper"),
    "out of reach": (0.0, 1.0, 9.0, 0.0, 1.0, "out of reach"),
}


@pytest.fixture(scope="module")
def compiled():
    def run(solver):
        def call(mean, std, value, lower, upper):
            prior = Gaussian.diagonal(jnp.full(4, mean), jnp.full(4, std))
            return solver(prior, integral(jnp.ones(4), value), lower, upper).mean

        return jax.jit(call)

    return {"bounded": run(bounded), "monotone": run(monotone)}


@pytest.mark.parametrize("solver", ["bounded", "monotone"])
@pytest.mark.parametrize("name", AT_RUN_TIME)
def test_run_time_message(compiled, solver, name):
    *numbers, message = AT_RUN_TIME[name]
    if solver == "monotone":
        message = message.replace("finite mean", "finite")
    with pytest.raises(Exception, match=message):
        jax.block_until_ready(compiled[solver](*(jnp.float32(x) for x in numbers)))
