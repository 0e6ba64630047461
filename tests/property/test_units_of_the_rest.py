"""Public functions without a test of their own units: fields, weights and lengths.

Each case is a program of a unit and of six numbers of size 1, whose results have no
unit. Results and their gradients are compared at units of 1e-30, 1 and 1e30.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from in_units import equal_in_all_units

import physcon as pc
from physcon import assimilation, inverse, linear_map, metrics, models, operators
from physcon import conditioning as pcc
from physcon._status import Outcome

KEY = jax.random.key(0)
X = np.array([0.9, -0.3, 0.8, 0.4, 1.2, 0.6], np.float32)
STD = np.array([0.3, 0.5, 0.2, 0.4, 0.6, 0.3], np.float32)
GRID = pc.Grid.uniform(0.0, 1.0, 6)
NODES = pc.Grid.uniform(0.0, 1.0, 6, location="nodes")
PLACES = jnp.array([[1], [4]])


def prior(u, x):
    """Mean and standard deviations that depend on x."""
    return pc.Gaussian.diagonal(u * x, u * (STD + 0.1 * x**2))


def good(found):
    """What is not good is NaN."""
    outcome = jax.lax.stop_gradient(found.outcome)
    return jnp.where(outcome == Outcome.good, 0.0, jnp.nan)


def rows(u, x):
    """What every constructor of rows misses."""
    ends = pc.Boundary((pc.Dirichlet(2 * u), pc.Neumann(-u)))
    size = pc.boundary_values(NODES, ends)
    curved = pc.second_difference(GRID)
    laws = [
        pc.integral(GRID, u),
        size,
        pc.sensors(GRID, np.array([[0.3], [0.52]]), u * jnp.array([1.0, 2.0])),
        pc.from_fn(lambda v: jnp.stack([v[0] - v[3], v[1] + v[2]]), (6,), u * x[:2]),
        pc.from_matrix(np.eye(6)[:2], u * x[:2]),
        pc.block_means(GRID, 2, u * x[:3]),
        pc.stack(pc.integral(GRID, u), curved),
    ]
    still = pc.divergence_free(pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (1, 2)))
    flow = u * jnp.concatenate([x, x[:1]])
    return [law.residual(u * x) / u for law in laws], still.residual(flow) / u


def derived(u, x):
    """Covariances have the square of the unit: the root of it is the unit here."""
    u = jnp.sqrt(u)
    gaussian = pc.condition(prior(u, x), pc.integral(GRID, u), throw=False).posterior
    image = pcc.linear_image(gaussian, pc.second_difference(GRID).operator)
    return (
        pcc.covariance_apply(gaussian, jnp.ones(6) / u) / u,
        pcc.covariance_block(gaussian, PLACES, PLACES) / u / u,
        pcc.covariance_columns(gaussian, PLACES) / u / u,
        image.mean / u,
        pcc.total(gaussian, GRID).mean / u,
        pcc.values_at(gaussian, PLACES).std() / u,
        pcc.quantile(gaussian, 0.9) / u,
    )


def moments(u, x):
    found = pcc.marginal_moments(prior(u, x), pc.integral(GRID, u), 0.0, throw=False)
    ends = u * jnp.ones(6)
    mean, std = pcc.truncated_moments(u * x, prior(u, x).std(), -ends, 2 * ends)
    reach = pcc.reachable(prior(u, x), pc.integral(GRID, u), 0.0, u)
    held = prior(u, x), pc.integral(GRID, u)
    return (
        [y / u for y in found],
        mean / u,
        std / u,
        [y / u for y in reach],
        jax.tree.leaves(pcc.isotonic_blocks(u * x, jnp.asarray(STD))),
        pc.hard_c(*held, throw=False).mean / u,
        pc.prob_conserv(*held, throw=False).mean / u,
    )


def inequalities(u, x):
    x = jax.lax.stop_gradient(x)  # derivatives are those of `condition` at the optimum
    found = pc.constrained(
        prior(u, x),
        pc.integral(GRID, 0.5 * u),
        0.0,
        u,
        rows=pc.Rows(jnp.eye(2, 6)),
        row_upper=0.5 * u,
        throw=False,
    )
    return found.mean / u, good(found)


def solvers(u, x):
    """One solver by name, and a stencil as the rows of `DenseGram`."""
    ends = jnp.stack([x, jnp.cos(x)])
    stencil = linear_map.Stencil(u * ends, ((0,), (1,)), (6,))
    local = pc.LinearConstraint(stencil, 2 * u * jnp.ones(6), u * jnp.ones(6))
    law = pc.integral(GRID, 2 * u)
    found = pc.condition(prior(u, x), law, solver=pc.ColumnGram(), throw=False)
    one = jnp.ones(())
    seen = pc.condition(prior(one, x), local, throw=False)
    moments = found.posterior.mean / u, found.posterior.std() / u, good(found)
    return moments, seen.posterior.mean, seen.posterior.std(), good(seen)


def scores(u, x):
    u = jnp.sqrt(u)  # of a squared error
    spread, seen = u * (STD + 0.1 * x**2), u * jnp.asarray(X[::-1])
    return (
        metrics.mean_squared_error(u * x, seen) / u / u,
        metrics.standardized(u * x, spread, seen),
        metrics.interval_width(spread) / u,
        metrics.probability_integral_transform(u * x, spread, seen),
        metrics.conservation_error(u * x, GRID.weights(), u) / u,
    )


def filtered(u, x):
    """Positions, values and both sizes of noise in the unit."""
    places = jnp.array([[0.2], [0.7]])
    far = pc.Grid.uniform(0.0, 1.0, 6)
    taper = assimilation.localisation(far, places, 0.5)
    members = u * jnp.stack([x, x[::-1], jnp.cos(x)])
    data = pc.sensors(GRID, places, u * x[:2], 0.1 * u)
    found = assimilation.ensemble_update(
        members, data, localisation=taper, lower=-u, throw=False
    )
    return found.members / u, good(found), assimilation.gaspari_cohn(u * x**2, u)


def roots(u, x):
    """A conditioning under a prior of every map."""
    vectors = pc.LowRank(u * jnp.stack([x, jnp.cos(x)]))
    parts = linear_map.BlockDiagonal(pc.Diagonal(u * x[:2]), pc.Diagonal(u * x[2:]))
    dense = linear_map.Dense(jnp.array([[1.0, 0.5], [0.0, 2.0]]), (2,))
    product = linear_map.Kronecker(dense, pc.Diagonal(u * x[:3]))
    filter_map = linear_map.Compose(pc.Diagonal(u * x), dense_of(x))
    found = []
    law = pc.integral(GRID, 2 * u)
    found.append(pc.condition(pc.Gaussian(u * x, parts), law, throw=False))
    wide = linear_map.Sum(vectors, filter_map)
    spread = pc.Gaussian(u * x, wide).std() / u
    grid = pc.Gaussian(u * x.reshape(2, 3), product)
    law = pc.integral(jnp.ones((2, 3)), 2 * u)
    found.append(pc.condition(grid, law, throw=False))
    moments = [(r.posterior.mean / u, r.posterior.std() / u, good(r)) for r in found]
    return moments, spread


def dense_of(x):
    return linear_map.Dense(jnp.eye(6) + 0.1 * jnp.outer(x, x), (6,))


def estimates(u, x):
    """Parameters in the unit; the misfit has none."""

    def misfit(theta):
        return jnp.tanh(theta[:2] / u) - 0.3

    def loss(theta):
        return jnp.sum(misfit(theta) ** 2)

    known = prior(u, jnp.asarray(X))
    found = inverse.maximum_a_posteriori(loss, known, throw=False)
    draw = inverse.laplace_sample(KEY, misfit, known, jnp.asarray(X), throw=False)
    proof = inverse.evidence(prior(u, x), pc.integral(GRID, u, u), throw=False)
    bits = jnp.asarray(proof.log_evidence) + jnp.log(u)
    return found.parameters / u, good(found), draw / u, bits


def densities(u, x):
    """In the unit u a density is larger by log u per dimension."""
    few = pc.LowRank(u * jnp.stack([x, jnp.cos(x)]))
    dense = linear_map.Dense(jnp.array([[1.0, 0.5], [0.0, 2.0]]), (2,))
    product = linear_map.Kronecker(dense, pc.Diagonal(u * x[:3]))
    other = u * jnp.cos(jnp.arange(6.0))
    inside = u * x + few.mv(jnp.array([0.3, -0.2]))
    found = [pc.Gaussian(u * x, few).log_prob(inside) + 2 * jnp.log(u)]
    for root in (
        pc.Diagonal(u * x),
        linear_map.Sum(few, pc.Diagonal(u * STD)),
        linear_map.Compose(pc.Diagonal(u * x), dense_of(x)),
    ):
        found.append(pc.Gaussian(u * x, root).log_prob(other) + 6 * jnp.log(u))
    grid = pc.Gaussian(u * x.reshape(2, 3), product)
    found.append(grid.log_prob(other.reshape(2, 3)) + 6 * jnp.log(u))
    circle = pc.NonlinearConstraint(
        lambda v: u * jnp.sum((v / u) ** 2)[None], u * jnp.ones(1)
    )
    found.append(pcc.log_density(prior(u, x), circle, other) + 6 * jnp.log(u))
    return found


def shocks(u, x):
    """Positions are lengths; the field is a step near 0.6."""
    places = u * jnp.linspace(0.0, 1.0, 6)
    step = pc.Gaussian.diagonal(jnp.tanh(4 - 8 * places / u), 0.01 * jnp.abs(x))
    drawn = pcc.shock_positions(step, places, KEY, 4)
    tail = pcc.shock_position_quantile(step, places, 0.9, KEY, 10)
    seen = metrics.shock_position(places, step.mean)
    off = metrics.shock_position_error(seen, 0.5 * u)
    return drawn.position / u, tail / u, seen.position / u, off[0] / u


def boundaries(u, x):
    """Corrections and convolutions are linear in field and data."""
    ends = pc.Boundary((pc.Dirichlet(2 * u), pc.Neumann(-u)))
    field = u * x[None]
    spectral = operators.init_spectral_weights(KEY, 1, 1, (3,))
    sines = operators.init_basis_weights(KEY, 1, 1, (3,))
    corrected = operators.correct(lambda v: 2 * v, ends, NODES, throw=False)
    found = [
        operators.lift(field, ends, NODES, throw=False),
        operators.overwrite(field, ends, NODES, throw=False),
        [r.value for r in operators.residuals(field, ends, NODES)],
        corrected(field),
        operators.spectral_conv(spectral, field),
        operators.basis_conv(sines, field, ("sine-cosine",)),
        operators.corrected_spectral_conv(
            spectral, field, ends, NODES, "lift", throw=False
        ),
    ]
    size = operators.Normaliser(u * x[:1], u * x[2:3]).encode(field)
    return jax.tree.map(lambda v: v / u, found), size


def mixtures(u, x):
    found = models.mixture_moments(u * x.reshape(2, 3), prior(u, x).std().reshape(2, 3))
    return found.mean / u, found.std / u


CASES = [
    rows,
    derived,
    moments,
    inequalities,
    solvers,
    scores,
    filtered,
    roots,
    estimates,
    densities,
    shocks,
    boundaries,
    mixtures,
]


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.__name__)
def test_units_do_not_matter(case):
    equal_in_all_units(case, X, 3e-5)
