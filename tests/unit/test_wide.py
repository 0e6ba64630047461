"""Programs for the widest vectors give the numbers of the ordinary ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import _wide
from physcon._wide import wide_jit

TRACED = []


@wide_jit
def scaled(tree, power, name):
    TRACED.append(name)
    return {name: jnp.sin(tree["x"]) ** power}


def test_settings_and_arrays_are_told_apart_and_compiled_once():
    TRACED.clear()
    x = np.linspace(0.0, 1.0, 33, dtype=np.float32)
    for shift in (0.0, 0.5):
        out = scaled({"x": jnp.asarray(x + np.float32(shift))}, 3, "y")
    assert len(TRACED) == 1
    np.testing.assert_allclose(out["y"], np.sin(x + 0.5) ** 3, rtol=1e-5)
    assert set(scaled({"x": x}, name="z", power=2)) == {"z"}


@pytest.mark.parametrize("width", [None, "--xla_cpu_prefer_vector_width=256"])
def test_the_option_is_given_where_it_can_be(width, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    monkeypatch.setenv("XLA_FLAGS", width or "")
    assert _wide._decides() == (width is None)
    inside = []
    jax.make_jaxpr(lambda x: inside.append(_wide._decides()) or x)(jnp.ones(2))
    assert inside == [False]


def test_it_works_within_every_transformation():
    x = jnp.linspace(0.1, 1.0, 5)

    def total(x):
        return jnp.sum(scaled({"x": x}, 2, "y")["y"])

    expected = np.sin(2 * np.asarray(x))
    np.testing.assert_allclose(jax.grad(total)(x), expected, rtol=1e-5)
    np.testing.assert_allclose(jax.jit(jax.grad(total))(x), expected, rtol=1e-5)
    np.testing.assert_allclose(
        jax.jvp(total, (x,), (jnp.ones(5),))[1], expected.sum(), rtol=1e-5
    )
    many = jnp.stack([x, 2 * x])
    np.testing.assert_allclose(
        jax.vmap(total)(many), [total(x), total(2 * x)], rtol=1e-6
    )


def test_the_memory_of_later_arguments_can_be_reused():
    add = wide_jit(lambda a, b: a + b, donate_rest=True)
    a, b = jnp.ones(1000), jnp.ones(1000)
    assert float(add(a, b)[0]) == 2
    assert not a.is_deleted()
    assert b.is_deleted()
