"""Conditioning of a divided field: the numbers of one device, values and gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from meshes import CUBE, DEVICES, LINE, PLANE, run, same

import physcon as pc
from physcon import parallel
from physcon.conditioning import join_fields
from physcon.linear_map import Sum

SHAPE = (8, 4, 4)


def prior_and_law(rng):
    """An ensemble with independent errors, on two noisy rows."""
    mean, std, members, rows = (
        jnp.asarray(rng.normal(size=s)) for s in (SHAPE, SHAPE, (2, *SHAPE), (2, *SHAPE))
    )
    root = Sum(pc.LowRank(members), pc.Diagonal(0.1 + jnp.abs(std)))
    law = pc.LinearConstraint(pc.Rows(rows), jnp.asarray([1.0, -2.0]), jnp.asarray([0.1, 0.3]))
    return pc.Gaussian(mean, root), law


def summary(found):
    posterior = found.posterior
    return jnp.sum(jnp.sin(posterior.mean)) + jnp.sum(posterior.variance()) + found.log_evidence


@pytest.fixture(scope="module")
def of_one_device():
    fn = jax.value_and_grad(lambda *args: summary(pc.condition(*args, throw=False)), argnums=(0, 1))
    return jax.jit(fn)(*prior_and_law(np.random.default_rng(1)))


MESHES = [(LINE, ("x", None, None)), (PLANE, ("x", "y", None)), (CUBE, ("x", "y", "z"))]


@pytest.mark.parametrize(("mesh", "axes"), MESHES, ids=["8", "4x2", "2x2x2"])
def test_ensemble_prior_values_and_gradients(mesh, axes, of_one_device):
    def divided(prior, law):
        return summary(parallel.condition(prior, law, mesh=mesh, axes=axes, throw=False))

    fn = jax.jit(jax.value_and_grad(divided, argnums=(0, 1)))
    got = fn(*prior_and_law(np.random.default_rng(1)))
    jax.tree.map(lambda a, b: same(a, b, 2e-5), got, of_one_device)


def test_an_exact_integral_of_independent_errors_costs_one_reduction_and_holds(rng):
    n, law = 4096, pc.integral(jnp.ones(4096), 7.0)
    prior = pc.Gaussian.diagonal(
        jnp.asarray(rng.normal(size=n)), jnp.asarray(10 ** rng.uniform(-4, 0, n))
    )

    def posterior(mean, std):
        prior = pc.Gaussian.diagonal(mean, std)
        found = parallel.condition(prior, law, mesh=LINE, axes=("x",), throw=False)
        return found.posterior.mean, found.posterior.variance()

    found = parallel.condition(prior, law, mesh=LINE, axes=("x",))
    assert {s.data.shape for s in found.posterior.mean.addressable_shards} == {(n // 8,)}
    u = np.asarray(found.posterior.mean, float)
    assert abs(u.sum() - 7) < 1e-7 * np.abs(u).sum()  # by the all-reduce in float64
    same(found.residual, 7 - u.sum(), 1e-6)
    placed = parallel.shard((prior.mean, prior.root.diagonal), LINE, jax.P("x"))
    (mean, _), sent = run(posterior, *placed)
    np.testing.assert_array_equal(mean, found.posterior.mean)
    assert sent == {"all-reduce": 1}  # S, G μ and |G| |μ| together


@pytest.mark.parametrize("walls", [False, True], ids=["torus", "walls"])
def test_divergence_free_values_and_gradients(walls, rng):
    grid = pc.Grid.uniform((0, 0), (1, 2), (8, 4))
    sides = {"boundary": ((0.0, 0.0), (0.2, None))} if walls else {"periodic": True}
    law = pc.divergence_free(grid, **sides)
    shapes = [part.in_shape for part in law.operator.parts]
    means = tuple(jnp.asarray(rng.normal(size=s)) for s in shapes)
    stds = tuple(jnp.asarray(rng.uniform(0.3, 1, s)) for s in shapes)

    def one(means, stds):
        priors = [pc.Gaussian.diagonal(m, s) for m, s in zip(means, stds, strict=True)]
        u = pc.condition(join_fields(*priors), law, throw=False).posterior.mean
        return jnp.sum(jnp.sin(u)), u

    def many(means, stds):
        where = {"mesh": PLANE, "axes": ("x", "y")}
        found = parallel.condition_balance(means, stds, law, **where, throw=False)
        u = jnp.concatenate([m.reshape(-1) for m in found.means])
        return jnp.sum(jnp.sin(u)), (u, found.status)

    (_, u), slope = jax.jit(jax.value_and_grad(one, argnums=(0, 1), has_aux=True))(means, stds)
    (_, (got, status)), got_slope = jax.jit(jax.value_and_grad(many, argnums=(0, 1), has_aux=True))(
        means, stds
    )
    assert int(status) == 0
    same(got, u)
    jax.tree.map(lambda a, b: same(a, b, 5e-5), got_slope, slope)


def test_what_cannot_be_divided_is_refused(rng):
    prior, law = prior_and_law(rng)
    mesh = Mesh(DEVICES[:3], ("x",))
    with pytest.raises(ValueError, match="axis 0 that 3 devices divide evenly, got 8"):
        parallel.condition(prior, law, mesh=mesh, axes=("x", None, None))
    dense = pc.Gaussian.from_cholesky(jnp.zeros(8), jnp.eye(8))
    rows = pc.integral(jnp.ones(8), 1.0)
    with pytest.raises(ValueError, match=r"Diagonal and LowRank parts, got \['Dense'\]"):
        parallel.condition(dense, rows, mesh=LINE, axes=("x",))
    plain = pc.Gaussian.diagonal(jnp.zeros(8).at[5].set(jnp.nan), jnp.ones(8))
    with pytest.raises(RuntimeError, match="NaN or infinity"):
        parallel.condition(plain, rows, mesh=LINE, axes=("x",))
