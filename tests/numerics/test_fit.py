"""The training loop: exact descent, and results that survive interruptions."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from physcon.models.anp import ANP, predict
from physcon.models.losses import mean_over_tasks, negative_elbo
from physcon.models.predictor import Observations
from physcon.operators import Normaliser
from physcon.training import Minibatches, fit

KEY = jax.random.key(7)
DATA = np.linspace(-1.0, 2.0, 12, dtype=np.float32)


def quadratic(params, batch, key):
    return 0.5 * jnp.mean((params["w"] - batch) ** 2)


def noisy(params, batch, key):
    return quadratic(params, batch, key) + params["w"] * jax.random.normal(key)


def start():
    return {"w": jnp.asarray(3.0), "name": "not an array"}


def run(loss=noisy, steps=23, **kwargs):
    batches = Minibatches(DATA, 4)
    return fit(
        loss, start(), optax.adam(0.05), batches, steps, KEY, progress=False, **kwargs
    )


def same(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_array_equal(x, y)


def test_gradient_descent_on_a_parabola_is_geometric():
    rate, steps = 0.1, 25
    params = {"w": jnp.asarray(3.0), "n": 5}
    out = fit(
        quadratic,
        params,
        optax.sgd(rate),
        lambda k, i: jnp.ones(1),
        steps,
        KEY,
        chunk=7,
    )
    distance = 2.0 * (1 - rate) ** np.arange(steps + 1)
    np.testing.assert_allclose(out.losses, 0.5 * distance[:-1] ** 2, rtol=1e-5)
    np.testing.assert_allclose(out.params["w"] - 1, distance[-1], rtol=1e-5)
    assert out.params["n"] == 5
    assert params["w"] == 3.0  # the caller's arrays are not donated


def test_weight_decay_leaves_frozen_modules_alone():
    """Adam makes a step of the learning rate of any gradient, however small: also of
    pure decay.
    """
    norm = Normaliser(jnp.array([2.0]), jnp.array([3.0]))
    params = {"w": jnp.asarray(3.0), "units": norm}
    optimizer = optax.chain(optax.add_decayed_weights(1e-4), optax.adam(0.1))

    def loss(params, batch, key):
        return jnp.mean(params["units"].decode(params["w"][None] * batch) ** 2)

    out = fit(
        loss, params, optimizer, lambda k, i: jnp.ones(1), 20, KEY, progress=False
    ).params
    same(out["units"], norm)
    assert abs(float(out["w"]) - 3.0) > 1.0


def test_chunks_change_nothing():
    same(run(chunk=1), run(chunk=10))


def test_a_resumed_run_is_bitwise_the_uninterrupted_one(tmp_path):
    file = tmp_path / "run.ckpt"
    whole = run()
    run(steps=9, checkpoint=file, chunk=4, save_every=6)
    resumed = run(checkpoint=file, resume=True)
    same(resumed, whole)
    same(run(checkpoint=file, resume=True), whole)  # nothing left to do


def test_a_checkpoint_is_resumed_only_by_its_own_run(tmp_path):
    file = tmp_path / "run.ckpt"
    run(steps=5, checkpoint=file, config={"rate": 0.05})
    with pytest.raises(
        ValueError, match=r"expected no file at .*run\.ckpt.*resume=True"
    ):
        run(checkpoint=file, config={"rate": 0.05})
    with pytest.raises(
        ValueError, match=r"config\.rate is 0\.05 in the file and 0\.1 here"
    ):
        run(checkpoint=file, resume=True, config={"rate": 0.1})
    with pytest.raises(ValueError, match="a checkpoint of at most 3 steps, got 5"):
        run(checkpoint=file, resume=True, config={"rate": 0.05}, steps=3)
    with pytest.raises(
        ValueError, match="parameters is '1 arrays, 1 numbers, float32'"
    ):
        fit(
            lambda p, b, k: jnp.sum(p**2),
            jnp.ones(3),
            optax.adam(0.05),
            Minibatches(DATA, 4),
            9,
            KEY,
            checkpoint=file,
            resume=True,
            config={"rate": 0.05},
            progress=False,
        )


def test_a_loss_that_is_not_finite_is_an_alarm(tmp_path):
    file = tmp_path / "run.ckpt"

    def explodes(params, batch, key):
        return jnp.sum(params) / jnp.where(jnp.sum(batch) > 6, 0.0, 1.0)

    with pytest.raises(
        FloatingPointError, match="got inf at step 7; lower the learning rate"
    ):
        fit(
            explodes,
            jnp.ones(2),
            optax.sgd(0.0),
            lambda key, step: step * jnp.ones(1),
            20,
            KEY,
            chunk=5,
            checkpoint=file,
            save_every=5,
            progress=False,
        )
    assert b'"step": 5' in file.read_bytes()


def test_an_epoch_sees_every_task_once():
    batches = Minibatches((jnp.arange(12), jnp.arange(24).reshape(12, 2)), 4)
    seen = [batches(KEY, jnp.asarray(step)) for step in range(6)]
    for epoch in (seen[:3], seen[3:]):
        index = np.concatenate([first for first, _ in epoch])
        assert sorted(index) == list(range(12))
        np.testing.assert_array_equal(
            np.concatenate([b for _, b in epoch])[:, 0], 2 * index
        )
    assert not np.array_equal(seen[0][0], seen[3][0])
    with pytest.raises(
        ValueError, match="a batch size between 1 and 12, the number of tasks, got"
    ):
        Minibatches(jnp.arange(12), 13)
    with pytest.raises(ValueError, match="one common leading axis"):
        Minibatches((jnp.zeros(3), jnp.zeros(4)), 2)


@pytest.fixture(scope="module")
def lines():
    """Tasks u = a x + b with random slope and height, seen at 8 + 8 random points."""

    def one(key):
        k1, k2, k3 = jax.random.split(key, 3)
        a, b = jax.random.normal(k1, (2,))

        def observe(key):
            points = jax.random.uniform(key, (8, 1), minval=-1.0)
            return Observations(points, a * points + b)

        return observe(k2), observe(k3)

    return jax.jit(jax.vmap(one))(jax.random.split(jax.random.key(0), 320))


def test_a_trained_process_predicts_held_out_tasks(lines):
    loss = mean_over_tasks(
        lambda model, task, key: negative_elbo(model, *task, key=key)
    )
    model = ANP(dim=1, size=16, heads=2, layers=1, key=jax.random.key(1))
    train, test = (
        jax.tree.map(lambda x, s=s: x[s], lines) for s in (slice(256), slice(256, None))
    )
    out = fit(
        loss, model, optax.adam(3e-3), Minibatches(train, 32), 400, KEY, progress=False
    )

    @eqx.filter_jit
    @eqx.filter_vmap(in_axes=(None, 0, 0))
    def evaluate(model, contexts, targets):
        p = predict(model, contexts, targets.points, KEY, num_samples=10)
        return (p.mean - targets.values)[:, 0], p.std[:, 0]

    error, std = evaluate(out.params, *test)
    prior_variance = np.var(
        test[1].values
    )  # error of the best answer that ignores the contexts
    assert np.mean(error**2) < 0.3 * prior_variance
    # The std is an honest one: the scaled error is neither tiny nor huge, far from
    # inputs of 1.
    assert 0.3 < np.sqrt(np.mean((error / std) ** 2)) < 2.0
