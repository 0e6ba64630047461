"""Equinox modules in Flax and Flax models in physcon give the same numbers."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import linen, nnx

import physcon as pc
from physcon.flax import NNX, Constant, FromLinen, FromNNX, Linen
from physcon.models.predictor import Prediction
from physcon.operators import FNO, Normaliser

STEPS = 12


def make(key):
    """A network with arrays that are trained, arrays that are not, and static parts."""
    inputs = Normaliser(jnp.array([0.5, 0.0]), jnp.array([2.0, 1.0]))
    return FNO.init(key, 2, 1, (3,), width=4, depth=1, hidden=6, inputs=inputs)


@pytest.fixture(scope="module")
def data():
    x = jax.random.normal(jax.random.key(1), (6, 2, 16))
    return x, jnp.sum(jnp.cumsum(x, -1), 1, keepdims=True) / 4


def mean_square(model, x, y):
    return jnp.mean((jax.vmap(model)(x) - y) ** 2)


OPTIMIZER = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(3e-2))


@pytest.fixture(scope="module")
def equinox_losses(data):
    params, static = eqx.partition(make(jax.random.key(0)), eqx.is_inexact_array)

    @jax.jit
    def step(params, state):
        loss, gradient = jax.value_and_grad(
            lambda p: mean_square(eqx.combine(p, static), *data)
        )(params)
        updates, state = OPTIMIZER.update(gradient, state)
        return optax.apply_updates(params, updates), state, loss

    state, losses = OPTIMIZER.init(params), []
    for _ in range(STEPS):
        params, state, loss = step(params, state)
        losses.append(float(loss))
    assert losses[-1] < 0.8 * losses[0]
    return losses


@nnx.jit
def nnx_step(model, optimizer, x, y):
    loss, gradient = nnx.value_and_grad(mean_square)(model, x, y)
    optimizer.update(model, gradient)
    return loss


@pytest.fixture(scope="module")
def trained_nnx(data):
    model = NNX(make(jax.random.key(0)))
    optimizer = nnx.Optimizer(model, OPTIMIZER, wrt=nnx.Param)
    return model, [float(nnx_step(model, optimizer, *data)) for _ in range(STEPS)]


def test_nnx_trains_as_equinox(equinox_losses, trained_nnx):
    np.testing.assert_allclose(trained_nnx[1], equinox_losses, rtol=2e-6)


def test_linen_trains_as_equinox(equinox_losses, data):
    model, (x, y) = Linen(make), data
    variables = model.init(jax.random.key(5), x[0])
    start = Linen(lambda key: make(jax.random.key(0))).init(jax.random.key(7), x[0])
    assert jax.tree.map(jnp.shape, variables) == jax.tree.map(jnp.shape, start)

    @jax.jit
    def step(variables, state):
        loss, gradient = jax.value_and_grad(
            lambda v: mean_square(lambda u: model.apply(v, u), x, y)
        )(variables)
        updates, state = OPTIMIZER.update(gradient, state)
        return optax.apply_updates(variables, updates), state, loss

    state, losses = OPTIMIZER.init(start), []
    for _ in range(STEPS):
        start, state, loss = step(start, state)
        losses.append(float(loss))
    np.testing.assert_allclose(losses, equinox_losses, rtol=2e-6)


def test_every_array_is_named_and_comes_back():
    module = make(jax.random.key(0))
    named = NNX(module)
    assert "blocks.0.skip.weight" in named.parameters
    assert len(named.parameters) == len(
        jax.tree.leaves(eqx.filter(module, eqx.is_inexact_array))
    )
    assert eqx.tree_equal(named.module(), module)
    variables = Linen(lambda key: module).init(jax.random.key(0), jnp.ones((2, 8)))
    assert set(variables["params"]) == set(named.parameters)
    assert eqx.tree_equal(Linen(make).apply(variables, method="module"), module)


class Counted(eqx.Module):
    """A weight, an integer array, a key, a function and a size."""

    weight: jax.Array
    count: jax.Array
    key: jax.Array
    activation: object
    size: int

    def __call__(self, x):
        noise = jax.random.normal(self.key, (self.size,))
        return self.activation(self.weight * x) + self.count + noise


COUNTED = Counted(jnp.arange(3.0), jnp.array([1, 2, 3]), jax.random.key(4), jnp.tanh, 3)


def test_what_is_not_trained_is_kept_apart():
    x = jnp.ones(3)
    model = NNX(COUNTED)
    assert set(model.parameters) == {"weight"}
    assert set(nnx.to_pure_dict(nnx.state(model, Constant))["constants"]) == {
        "count",
        "key",
    }
    np.testing.assert_array_equal(model(x), COUNTED(x))
    flax_model = Linen(lambda key: COUNTED)
    variables = flax_model.init(jax.random.key(0), x)
    assert {k: set(v) for k, v in variables.items()} == {
        "params": {"weight"},
        "constants": {"count", "key"},
    }
    np.testing.assert_array_equal(flax_model.apply(variables, x), COUNTED(x))


def test_frozen_arrays_are_no_parameters():
    frozen = NNX(make(jax.random.key(0)), frozen=("inputs", "blocks.0"))
    assert not any(n.startswith(("inputs", "blocks.0.")) for n in frozen.parameters)
    assert {"inputs.mean", "blocks.0.spectral"} <= set(frozen.constants)
    with pytest.raises(ValueError, match=r"got input; choose from lift.weight"):
        NNX(make(jax.random.key(0)), frozen=("input",))


def test_one_compilation_for_modules_of_one_structure():
    traces = []

    @nnx.jit
    def apply(model, x):
        traces.append(None)
        return model(x)

    for seed in range(3):
        apply(NNX(make(jax.random.key(seed))), jnp.ones((2, 8)))
    assert len(traces) == 1


def test_a_checkpoint_by_orbax(trained_nnx, tmp_path):
    import orbax.checkpoint as ocp

    model, _ = trained_nnx
    graphdef, state = nnx.split(model)
    with ocp.StandardCheckpointer() as checkpointer:
        checkpointer.save(tmp_path / "state", nnx.to_pure_dict(state))
        checkpointer.wait_until_finished()
        abstract = nnx.to_pure_dict(nnx.split(NNX(make(jax.random.key(9))))[1])
        stored = checkpointer.restore(tmp_path / "state", abstract)
    nnx.replace_by_pure_dict(state, stored)
    assert eqx.tree_equal(nnx.merge(graphdef, state).module(), model.module())


class TwoHeads(nnx.Module):
    """A Flax model of mean and standard deviation."""

    def __init__(self, rngs):
        self.hidden = nnx.Linear(2, 8, rngs=rngs)
        self.heads = nnx.Linear(8, 2, rngs=rngs)

    def __call__(self, points):
        mean, raw = jnp.split(self.heads(nnx.tanh(self.hidden(points))), 2, -1)
        return Prediction(mean, nnx.softplus(raw) + 1e-2)


class LinenHeads(linen.Module):
    """The same in Linen."""

    @linen.compact
    def __call__(self, points):
        mean, raw = jnp.split(linen.Dense(2)(linen.tanh(linen.Dense(8)(points))), 2, -1)
        return Prediction(mean, linen.softplus(raw) + 1e-2)


def nnx_predictor():
    return FromNNX(TwoHeads(nnx.Rngs(0)))


def linen_predictor():
    return FromLinen(
        LinenHeads(), LinenHeads().init(jax.random.key(0), jnp.ones((1, 2)))
    )


@pytest.mark.parametrize("make_model", [nnx_predictor, linen_predictor])
def test_a_flax_model_is_conserved_and_trained(make_model):
    """Through `condition`, by `physcon.training.fit`: the loss falls, the mass is
    exact.
    """
    grid = pc.Grid.uniform(0.0, 1.0, 20)
    points = jnp.stack([grid.coordinates[0], jnp.ones(20)], -1)
    truth = jnp.sin(3 * points[:, 0])
    mass = jnp.sum(grid.weights() * truth)

    def conserved(model):
        mean, std = model(points)
        prior = pc.Gaussian.diagonal(mean[:, 0], std[:, 0])
        return pc.condition(prior, pc.integral(grid, mass), throw=False).posterior.mean

    def loss(model, batch, key):
        return jnp.mean((conserved(model) - truth) ** 2)

    trained, _, losses = pc.training.fit(
        loss,
        make_model(),
        optax.adam(3e-2),
        lambda key, step: None,
        60,
        jax.random.key(0),
        progress=False,
    )
    assert losses[-1] < 0.3 * losses[0]
    mean = np.asarray(conserved(trained), float)
    np.testing.assert_allclose(
        mean @ np.asarray(grid.weights(), float), float(mass), rtol=1e-6
    )


def test_a_model_of_the_other_kind_is_refused():
    with pytest.raises(ValueError, match="FromLinen"):
        FromNNX(LinenHeads())
    with pytest.raises(ValueError, match="FromNNX"):
        FromLinen(TwoHeads(nnx.Rngs(0)), {})


class Whole(linen.Module):
    """An operator as one part of a Linen model."""

    @linen.compact
    def __call__(self, u):
        return linen.Dense(3)(Linen(make, name="operator")(u))


def test_a_part_of_a_linen_model():
    u = jnp.ones((2, 8))
    variables = Whole().init(jax.random.key(0), u)
    assert set(variables["params"]) == {"operator", "Dense_0"}
    operator = Linen(make).apply({"params": variables["params"]["operator"]}, u)
    expected = linen.Dense(3).apply(
        {"params": variables["params"]["Dense_0"]}, operator
    )
    np.testing.assert_allclose(Whole().apply(variables, u), expected, rtol=1e-6)
