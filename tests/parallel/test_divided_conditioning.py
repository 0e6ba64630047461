"""Conditioning of a divided field: the numbers of one device, values and gradients."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh
from meshes import DEVICES, LINE, PLANE, on_every_mesh, run, same

import physcon as pc
from physcon import parallel
from physcon.conditioning import join_fields
from physcon.linear_map import Sum, split_fields

SHAPE = (8, 4, 4)


def prior_and_law(rng):
    """An ensemble with independent errors, on two noisy rows."""
    mean, std, members, rows = (
        jnp.asarray(rng.normal(size=s))
        for s in (SHAPE, SHAPE, (2, *SHAPE), (2, *SHAPE))
    )
    root = Sum(pc.LowRank(members), pc.Diagonal(0.1 + jnp.abs(std)))
    law = pc.LinearConstraint(
        pc.Rows(rows), jnp.asarray([1.0, -2.0]), jnp.asarray([0.1, 0.3])
    )
    return pc.Gaussian(mean, root), law


def summary(found):
    posterior = found.posterior
    return (
        jnp.sum(jnp.sin(posterior.mean))
        + jnp.sum(posterior.variance())
        + found.log_evidence
    )


@pytest.fixture(scope="module")
def of_one_device():
    fn = jax.value_and_grad(
        lambda *args: summary(pc.condition(*args, throw=False)), argnums=(0, 1)
    )
    return jax.jit(fn)(*prior_and_law(np.random.default_rng(1)))


@on_every_mesh
def test_ensemble_prior_values_and_gradients(mesh, axes, of_one_device):
    def divided(prior, law):
        return summary(
            parallel.condition(prior, law, mesh=mesh, axes=axes, throw=False)
        )

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
    assert {s.data.shape for s in found.posterior.mean.addressable_shards} == {
        (n // 8,)
    }
    u = np.asarray(found.posterior.mean, float)
    assert abs(u.sum() - 7) < 1e-7 * np.abs(u).sum()  # by the all-reduce in float64
    same(found.residual, 7 - u.sum(), 1e-6)
    placed = parallel.shard((prior.mean, prior.root.diagonal), LINE, jax.P("x"))
    (mean, _), sent = run(posterior, *placed)
    np.testing.assert_array_equal(mean, found.posterior.mean)
    assert sent == {"all-reduce": 1}  # S, G μ and |G| |μ| together


def fields_of(law, rng):
    shapes = [part.in_shape for part in law.operator.parts]
    means = tuple(jnp.asarray(rng.normal(size=s)) for s in shapes)
    # Devices hold standard deviations of other sizes than their neighbours do.
    slopes = [
        np.geomspace(1, 8, s[0]).reshape(-1, *(1,) * (len(s) - 1)) for s in shapes
    ]
    stds = [rng.uniform(0.3, 1, s) * x for s, x in zip(shapes, slopes, strict=True)]
    return means, tuple(jnp.asarray(s) for s in stds)


def solenoidal(means, stds, law):
    """On one device."""
    priors = [pc.Gaussian.diagonal(m, s) for m, s in zip(means, stds, strict=True)]
    u = pc.condition(join_fields(*priors), law, throw=False).posterior.mean
    return jnp.sum(jnp.sin(u)), tuple(split_fields(u, tuple(m.shape for m in means)))


def divided(means, stds, law, **where):
    found = parallel.condition_balance(means, stds, law, **where, throw=False)
    return sum(jnp.sum(jnp.sin(m)) for m in found.means), (found.means, found.status)


@pytest.fixture(scope="module")
def closed_box():
    """A box with five given sides: known in the law, or in the field, with std 0."""
    grid = pc.Grid.uniform((0, 0, 0), (1, 2, 1), SHAPE)
    law = pc.divergence_free(grid, boundary=((None, 0.1), (None, 0.0), (0.3, None)))
    means, stds = fields_of(law, np.random.default_rng(4))
    for k, known in ((0, 0.2), (1, 0.0)):
        side = (slice(None),) * k + (0,)
        means = (*means[:k], means[k].at[side].set(known), *means[k + 1 :])
        stds = (*stds[:k], stds[k].at[side].set(0.0), *stds[k + 1 :])
    slope = jax.value_and_grad(solenoidal, argnums=(0, 1), has_aux=True)
    return (means, stds, law), jax.jit(slope)(means, stds, law)


@on_every_mesh
def test_a_law_of_every_cell_gathers_no_field(mesh, axes, closed_box):
    """As many faces as cells: they are divided like the cells, with gradients."""
    args, ((_, means), slope) = closed_box

    def many(means, stds, law):
        return divided(means, stds, law, mesh=mesh, axes=axes)

    placed = parallel.shard(args, mesh, jax.P(*axes))
    (((_, (got, status)), got_slope), sent) = run(
        jax.value_and_grad(many, argnums=(0, 1), has_aux=True), *placed
    )
    assert int(status) == 0
    jax.tree.map(same, got, means)
    jax.tree.map(lambda a, b: same(a, b, 5e-5), got_slope, slope)
    assert set(sent) == {"collective-permute", "all-reduce"}
    np.testing.assert_allclose(got[0][0], 0.2, rtol=1e-7)  # std 0: known


@pytest.mark.parametrize("kind", ["torus", "walls"])
def test_a_torus_and_faces_cut_from_whole_arrays(kind, rng):
    grid = pc.Grid.uniform((0, 0), (1, 2), (8, 4))
    sides = {
        "walls": {"boundary": ((0.0, 0.0), (None, None))},
        "torus": {"periodic": True},
    }
    law = pc.divergence_free(grid, **sides[kind])
    means, stds = fields_of(law, rng)
    found = parallel.condition_balance(means, stds, law, mesh=PLANE, axes=("x", "y"))
    jax.tree.map(same, found.means, jax.jit(solenoidal)(means, stds, law)[1])


def test_a_mesh_of_explicit_axes_serves_as_well(rng):
    """`jax.make_mesh` makes them; only arrays that carry their place in their type
    don't.
    """
    mesh, rows = jax.make_mesh((8,), ("x",)), pc.integral(jnp.ones(8), 1.0)
    prior = pc.Gaussian.diagonal(jnp.asarray(rng.normal(size=8)), jnp.ones(8))
    slopes = [
        jax.jit(
            jax.grad(lambda prior, condition=condition: summary(condition(prior, rows)))
        )(given)
        for condition, given in (
            (partial(parallel.condition, mesh=mesh, axes=("x",), throw=False), prior),
            (
                partial(parallel.condition, mesh=mesh, axes=("x",), throw=False),
                parallel.shard(prior, mesh, jax.P("x")),
            ),
            (partial(pc.condition, throw=False), prior),
        )
    ]
    jax.tree.map(lambda a, b, c: (same(a, c), same(b, c)), *slopes)
    placed = jax.device_put(prior, jax.NamedSharding(mesh, jax.P("x")))
    with pytest.raises(ValueError, match=r"a mesh of Auto axes.*parallel\.shard"):
        parallel.condition(placed, rows, mesh=mesh, axes=("x",))


def test_what_cannot_be_divided_is_refused(rng):
    prior, law = prior_and_law(rng)
    mesh = Mesh(DEVICES[:3], ("x",))
    with pytest.raises(ValueError, match="axis 0 that 3 devices divide evenly, got 8"):
        parallel.condition(prior, law, mesh=mesh, axes=("x", None, None))
    dense = pc.Gaussian.from_cholesky(jnp.zeros(8), jnp.eye(8))
    rows = pc.integral(jnp.ones(8), 1.0)
    with pytest.raises(
        ValueError, match=r"Diagonal and LowRank parts, got \['Dense'\]"
    ):
        parallel.condition(dense, rows, mesh=LINE, axes=("x",))
    plain = pc.Gaussian.diagonal(jnp.zeros(8).at[5].set(jnp.nan), jnp.ones(8))
    with pytest.raises(RuntimeError, match="NaN or infinity"):
        parallel.condition(plain, rows, mesh=LINE, axes=("x",))
