"""What a person meets first: wrong arguments are named, and results print briefly."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr

import physcon as pc
from physcon import conditioning as pcc
from physcon import datasets as pcd
from physcon import fv
from physcon._show import shown

GRID = pc.Grid.uniform(0.0, 1.0, 4)
PRIOR = pc.Gaussian.diagonal(jnp.ones(4), jnp.ones(4))
LAW = pc.integral(GRID, 1.5)
HOURS = np.arange(4).astype("m8[h]")
DATES = HOURS + np.datetime64("2020-01-01")
PERIODIC = pc.Boundary(pc.Periodic())


def solve(**changed):
    return fv.solve(jnp.ones((1, 4)), fv.Heat(), GRID, PERIODIC, **changed)


@pytest.mark.usefixtures("as_users_have_it")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pc.Grid.nodes(DATES), r"positions .*, got dates \(datetime64\[h\]"),
        (lambda: pc.Grid.cells(HOURS), r"positions .*, got durations \(timedelta64"),
        (lambda: pc.Grid.nodes(1j * np.arange(3)), "positions .*, got complex numbers"),
        (lambda: pc.Grid.uniform(0.0, HOURS[1], 3), "ends of the axis .*, got objects"),
        (lambda: pc.Grid.uniform(0.0, 1.0, 4.5), "whole numbers as shape, got 4.5"),
        (lambda: pc.Gaussian.diagonal(DATES, np.ones(4)), "array .*, got dates"),
        (lambda: pc.Gaussian.diagonal(1j * jnp.ones(4), 1.0), "mean .*, got complex"),
        (lambda: pc.Gaussian.diagonal(["1"], [1.0]), "an array .*, got text"),
        (
            lambda: pc.integral(GRID, HOURS[1]),
            "value of the integral .*, got durations",
        ),
        (lambda: pc.integral(GRID, "1.5"), "value of the integral .*, got text"),
        (lambda: pc.Dirichlet("0"), "a boundary value of real numbers, got text"),
        (lambda: pc.bounded(PRIOR, LAW, "0"), r"a bound \(lower\) .*, got text"),
        (lambda: pc.from_matrix([["a"]], [4.0]), "an array of real numbers, got text"),
        (lambda: solve(times=DATES), "times of real numbers, got dates"),
        (
            lambda: pc.condition(PRIOR, LAW, solver="dense"),
            "solver: a Solver, got a str",
        ),
        (lambda: pc.Rows([[1.0]]), "weights: an array, got a list"),
        (lambda: PRIOR.sample(0), "key: a key of jax.random, got a int"),
        (lambda: PRIOR.sample(jax.random.key(0), 2), "shape: a tuple, got 2"),
        (lambda: pc.from_fn(jnp.ones(4), (4,), 1.0), "fn: a function, got a"),
        (lambda: pc.from_fn(jnp.sum, 4, 1.0), "shape: a tuple, got 4"),
        (
            lambda: pcc.NonlinearConstraint(jnp.ones(4), jnp.ones(1)),
            "fn: a function, got a",
        ),
        (
            lambda: pc.metrics.gaussian_crps([1.0], [1.0], [1.0]),
            "std: an array|mean: an array",
        ),
        (
            lambda: pcd.constrain(np.ones(4), "mean: {of: u, equals: 1}"),
            "data: an xarray.Dataset, got a ndarray",
        ),
        (
            lambda: pc.Gaussian.diagonal(xr.Dataset({"u": ("x", [1.0])}), 1.0),
            "an array of real numbers, got a Dataset",
        ),
        (
            lambda: pc.Gaussian.diagonal(np.ma.masked_array([1.0, 2.0], [0, 1]), 1.0),
            "real numbers, got a MaskedArray",
        ),
        (
            lambda: fv.solve(jnp.ones((1, 4)), fv.Euler(), GRID, PERIODIC, times=[1.0]),
            "a state of 3 or more channels",
        ),
        (lambda: pc.hard_c(jnp.ones(4), LAW), "prior: a Gaussian, got a"),
        (lambda: pc.join_fields(jnp.ones(4)), "prior: a Gaussian, got a"),
        (lambda: pc.diffuse(LAW, 0.5), "prior: a Gaussian, got a LinearConstraint"),
        (lambda: pcc.quantile(PRIOR.root, 0.5), "gaussian: a Gaussian, got a Diagonal"),
        (lambda: pc.export(1, "no", {"u": jnp.ones(3)}), "a function, got int"),
    ],
)
def test_what_is_no_number_or_no_function_is_refused_by_name(call, message):
    """NumPy converts dates, durations and text to numbers in silence."""
    with pytest.raises(ValueError, match=message):
        call()


def test_results_print_their_shapes_and_small_values():
    field = jnp.zeros(1000)
    residual = jnp.array([0.25])
    result = pc.Monotone(field, PRIOR, field, residual, pc.Outcome.good)
    text = repr(result)
    assert text.startswith("Monotone(mean=f32[1000], posterior=Gaussian(")
    assert "residual=[0.25]" in text
    assert len(text) < 250
    kinds = (pc.Bounded, pc.Conditioned, pc.Constrained, pc.Diagnosis, pc.Relative)
    assert all(kind.__repr__ is shown for kind in (*kinds, pc.Monotone, pc.Nonlinear))
