"""Exports of laws of many rows and their solvers, see `test_export_everything`."""

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from exporting import GRID, N, export, prior

import physcon as pc
from physcon import conditioning


def halves(x):
    """Means of the two halves, which see disjoint points."""
    return pc.block_means(GRID, 4, jnp.stack([x[0], x[7]]))


#: A path of eight nodes: the flows of its seven edges balance at each node.
PATH = pc.incidence([(k, k + 1) for k in range(7)], 8)

#: The same sum at every point of two fields.
BOTH = pc.pointwise(jnp.ones((1, 2)), jnp.ones((1, 4)), shape=(4,))


def flows(x):
    """Flows along the path, of which some are lost on the way."""
    lossy = pc.LinearConstraint(PATH.operator, x - jnp.mean(x), jnp.full(N, 0.1))
    return pc.condition(
        pc.Gaussian.diagonal(x[:7], 1 + x[:7] ** 2),
        lossy,
        solver=pc.SparseCholesky(),
        throw=False,
    )


HIERARCHY = []
if find_spec("pyamg"):
    known = pc.Gaussian.diagonal(jnp.ones(7), jnp.ones(7))
    HIERARCHY = [conditioning.Multigrid.of(known, PATH)]


def iterated(x):
    """The flows by conjugate gradients with every preconditioner."""
    lossy = pc.LinearConstraint(PATH.operator, x - jnp.mean(x), jnp.full(N, 0.1))
    flows = pc.Gaussian.diagonal(x[:7], 1 + x[:7] ** 2)
    every = [conditioning.Jacobi(), conditioning.BlockJacobi(2)]
    return [
        pc.condition(
            flows,
            lossy,
            solver=conditioning.ConjugateGradient(preconditioner=preconditioner),
            throw=False,
        ).posterior.mean
        for preconditioner in every + HIERARCHY
    ]


def structured(x):
    """Disjoint rows, with a total over all points, and under an ensemble."""
    mass_too = pc.stack(halves(x), pc.integral(GRID, x[0], 0.1))
    members = pc.Gaussian.from_samples(jnp.stack([x, 2 * x, x**2]), jnp.ones(N))
    return (
        pc.condition(prior(x), halves(x), throw=False),
        pc.condition(prior(x), mass_too, throw=False),
        pc.condition(members, halves(x), throw=False),
    )


#: Name of the public thing -> a function of x (8 numbers).
TABLE: dict[str, Callable[[Any], Any]] = {
    "conditioning.Jacobi, conditioning.BlockJacobi, conditioning.Multigrid, "
    "conditioning.Preconditioner": iterated,
    # Many rows
    "DiagonalGram, Bordered, Woodbury, block_means, linear_map.Disjoint, "
    "linear_map.Blocks, linear_map.Stack": structured,
    "ColumnGram": lambda x: pc.condition(
        prior(x), halves(x), solver=pc.ColumnGram(), throw=False
    ),
    "SparseCholesky, incidence, linear_map.Sparse": flows,
    "BlockGram, pointwise, linear_map.Pointwise": lambda x: pc.condition(
        pc.Gaussian.diagonal(x.reshape(2, 4), 1 + x.reshape(2, 4) ** 2),
        BOTH,
        throw=False,
    ),
    "totals, linear_map.Labelled": lambda x: pc.totals(
        np.arange(8) % 2, jnp.stack([x[0], x[7]]), throw=False
    ).residual(x),
    "from_matrix": lambda x: pc.from_matrix(np.eye(8)[:2], x[:2]).residual(x),
    "constrained": lambda x: pc.constrained(
        prior(x),
        halves(x),
        0.0,
        rows=pc.Rows(jnp.eye(2, 8)),
        row_upper=9.0,
        throw=False,
    ),
    "ordered": lambda x: pc.ordered(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))), throw=False
    ),
    "simplex": lambda x: pc.simplex(
        pc.Gaussian.diagonal(x.reshape(2, 4), jnp.ones((2, 4))), throw=False
    ),
    "condition_relative": lambda x: pc.condition_relative(
        1 + x**2, halves(x), throw=False
    ),
    "diagnose": lambda x: pc.diagnose(prior(x), halves(x)),
}


@pytest.mark.parametrize("name", TABLE, ids=lambda line: line.partition(", ")[0])
def test_exports_for_every_platform(name):
    with jax.numpy_dtype_promotion("strict"):
        export(TABLE[name])
