"""Batches, ensemble members and Fourier transforms over devices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from meshes import CUBE, LINE, PLANE, on_every_mesh, run, same

import physcon as pc
from physcon import parallel
from physcon.models.losses import mean_over_tasks
from physcon.operators import FNO, Normaliser, init_spectral_weights, spectral_conv
from physcon.training import Minibatches


def conserved(weights, u):
    """A spectral convolution made to conserve its mass: a model with an FFT, and a
    constraint.
    """
    mean, std = jnp.tanh(spectral_conv(weights, u, "fft"))
    prior = pc.Gaussian.diagonal(mean, 0.1 + std**2)
    return pc.condition(
        prior, pc.integral(jnp.ones(mean.shape), 1.0), throw=False
    ).posterior.mean


def test_inference_sends_nothing_and_training_one_kind_of_message(getkey):
    model = init_spectral_weights(getkey(), 1, 2, (3,))
    batch = jax.random.normal(getkey(), (16, 1, 8))
    every = parallel.vmap(conserved, (None, 0), mesh=PLANE, axis=("x", "y"))
    placed = parallel.shard(batch, PLANE, jax.P(("x", "y")))
    model = parallel.shard(model, PLANE, jax.P())
    got, sent = run(every, model, placed)
    same(got, jax.jit(jax.vmap(conserved, (None, 0)))(model, batch))
    assert sent == {}

    def loss(model, u, key):
        return jnp.mean((conserved(model, u) - jax.random.normal(key, (8,))) ** 2)

    one = jax.value_and_grad(mean_over_tasks(loss))
    many = jax.value_and_grad(
        parallel.mean_over_tasks(loss, mesh=PLANE, axis=("x", "y"))
    )
    key = getkey()
    got, sent = run(many, model, placed, key)
    jax.tree.map(lambda a, b: same(a, b, 2e-5), got, jax.jit(one)(model, batch, key))
    assert set(sent) == {"all-reduce"}
    with pytest.raises(
        ValueError, match="a batch that 8 devices divide evenly, got 12"
    ):
        every(model, batch[:12])


@on_every_mesh
def test_members_of_an_ensemble_and_tasks_over_any_mesh(mesh, axes, getkey):
    """Members stay on their devices; of the tasks' gradient one sum is sent."""
    del axes
    every_axis = {"mesh": mesh, "axis": mesh.axis_names}

    def member(w, x):
        return jnp.tanh(w @ x)

    members, x, key = jax.random.normal(getkey(), (8, 3, 3)), jnp.arange(3.0), getkey()
    placed = parallel.shard(members, mesh, jax.P(mesh.axis_names))
    every = parallel.vmap(member, (0, None), **every_axis)
    gradient = jax.value_and_grad(lambda w: jnp.sum(every(w, x) ** 2))
    expected = jax.value_and_grad(
        lambda w: jnp.sum(jax.vmap(member, (0, None))(w, x) ** 2)
    )
    (value, slope), sent = run(gradient, placed)
    jax.tree.map(same, (value, slope), jax.jit(expected)(members))
    assert sent.get("all-reduce", 0) <= 1  # the value's own sum
    assert set(sent) <= {"all-reduce"}

    def loss(x, w, key):
        return jnp.sum((member(w, x) - jax.random.normal(key, (3,))) ** 2)

    many = jax.value_and_grad(parallel.mean_over_tasks(loss, **every_axis))
    got, sent = run(many, x, placed, key)
    jax.tree.map(
        same, got, jax.jit(jax.value_and_grad(mean_over_tasks(loss)))(x, members, key)
    )
    assert set(sent) == {"all-reduce"}


def test_divided_tasks_give_the_batches_of_one_device(getkey):
    data = {"u": jax.random.normal(getkey(), (24, 2)), "n": jnp.arange(24)}
    one, key = Minibatches(data, 8), getkey()
    many = Minibatches(parallel.shard(data, LINE, jax.P("x")), 8, LINE)
    draw = jax.jit(lambda batches, step: batches(key, step))
    for step in (0, 2, 4):  # the last one from the second epoch
        got, expected = draw(many, step), draw(one, step)
        jax.tree.map(np.testing.assert_array_equal, got, expected)
    with pytest.raises(
        ValueError, match="a batch size that 8 devices divide evenly, got 6"
    ):
        Minibatches(data, 6, LINE)


CASES = [
    (LINE, ("x", None), (16, 6), (4, 3)),
    (PLANE, (None, "y", None), (4, 6, 9), (2, 4, 3)),
    (PLANE, ("x", "y", None), (8, 4, 6), (4, 4, 3)),
    (CUBE, ("z", "x", None), (4, 6, 7), (4, 6, 2)),
]


@pytest.mark.parametrize(("mesh", "axes", "space", "modes"), CASES)
def test_spectral_convolution_by_slabs_and_pencils(mesh, axes, space, modes, getkey):
    kept = tuple(m // 2 for m in modes[:-1]) + modes[-1:]
    weights = init_spectral_weights(getkey(), 2, 3, kept)
    u, v = (
        jax.random.normal(getkey(), (2, *space)),
        jax.random.normal(getkey(), (3, *space)),
    )

    def pulled(conv):
        def run(weights, u):
            out, pull = jax.vjp(conv, weights, u)
            return out, pull(v)

        return run

    many = pulled(lambda w, u: parallel.spectral_conv(w, u, mesh=mesh, axes=axes))
    got, expected = (
        jax.jit(many)(weights, u),
        jax.jit(pulled(spectral_conv))(weights, u),
    )
    jax.tree.map(lambda a, b: same(a, b, 1e-5), got, expected)


def test_fno_in_two_dimensions_transposes_twice_a_block(getkey):
    samples = jax.random.normal(getkey(), (3, 1, 16, 8))
    norm = Normaliser.fit(samples)
    model = FNO.init(
        getkey(),
        1,
        1,
        (2, 3),
        width=4,
        depth=1,
        inputs=norm,
        outputs=norm,
        coordinates=True,
    )

    def many(u):
        return parallel.fno(model, u, mesh=LINE, axes=("x", None))

    got, sent = run(many, parallel.shard(samples[0], LINE, jax.P(None, "x")))
    same(got, jax.jit(lambda u: model(u))(samples[0]), 1e-5)
    assert sent == {"all-to-all": 2}
    with pytest.raises(ValueError, match="None for the last axis"):
        parallel.fno(model, samples[0], mesh=LINE, axes=(None, "x"))


@pytest.fixture(scope="module")
def fno_of_one_device():
    model = FNO.init(
        jax.random.key(5), 1, 1, (2, 1, 2), width=2, depth=1, coordinates=True
    )
    u = jax.random.normal(jax.random.key(6), (1, 8, 4, 4))
    slope = jax.value_and_grad(
        lambda model, u: jnp.sum(jnp.sin(model(u))), argnums=(0, 1)
    )
    return (model, u), eqx.filter_jit(slope)(model, u)


@pytest.mark.parametrize(
    ("mesh", "axes"), [(LINE, "x--"), (PLANE, "xy-"), (CUBE, "zx-")]
)
def test_gradient_of_an_fno(mesh, axes, fno_of_one_device):
    (model, u), expected = fno_of_one_device
    axes = tuple(None if name == "-" else name for name in axes)

    def score(model, u):
        return jnp.sum(jnp.sin(parallel.fno(model, u, mesh=mesh, axes=axes)))

    got = eqx.filter_jit(jax.value_and_grad(score, argnums=(0, 1)))(model, u)
    jax.tree.map(lambda a, b: same(a, b, 2e-5), got, expected)
