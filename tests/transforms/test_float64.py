"""Functions computed in float64 under every transformation of JAX, in any order.

The reference is the same formula without the mechanism.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import Gaussian, Grid, condition, from_fn, integral, kernels
from physcon._numerics import safe
from physcon._numerics.float64 import float64_primal, in_float64

GRID = Grid.uniform(0.0, 1.0, 4)
WEIGHTS = 0.25
START = jnp.array([1.0, 0.5, 2.0, 1.5])
BASIS = jnp.eye(4)


def mass(u):
    return GRID.integrate(u)


def plain(u):
    return WEIGHTS * jnp.sum(u)


def step(total, u, a):
    """One step of a roll-out that keeps its total, nonlinear in a."""
    return u * a / total(u * a)


def scanned(total):
    def run(a):
        u, _ = jax.lax.scan(
            lambda u, _: (step(total, u, a), None), START, None, length=2
        )
        return jnp.sum(u**2)

    return run


def conditional(total):
    def run(a):
        u = jax.lax.cond(a[0] > 0, lambda a: step(total, START, a), lambda a: a, a)
        return jnp.sum(u**2)

    return run


def looped(total):
    """Forward derivatives only: a while loop with a condition on the data."""

    def run(a):
        def body(state):
            u, count = state
            return step(total, u, a), count + 1

        more = lambda state: (state[1] < 2) & (total(state[0]) > 0)  # noqa: E731
        u, _ = jax.lax.while_loop(more, body, (START, jnp.int32(0)))
        return jnp.sum(u**2)

    return run


def batched(total):
    return lambda a: jnp.sum(jax.vmap(total)(a[:, None] ** 3 * START[None]) ** 2)


ONE = jnp.array([0.3, -1.0, 0.5, 0.2])

#: Transformation of a scalar function at START.
TRANSFORMS = {
    "value": lambda f: f(START),
    "jvp": lambda f: jax.jvp(f, (START,), (ONE,))[1],
    "vjp": lambda f: jax.grad(f)(START),
    "hessian": lambda f: jax.hessian(f)(START),
    "jacrev of grad": lambda f: jax.jacrev(jax.grad(f))(START),
    "jvp of grad in vmap": lambda f: jax.vmap(
        lambda v: jax.jvp(jax.grad(f), (START,), (v,))[1]
    )(BASIS),
    "grad in vmap": lambda f: jax.vmap(jax.grad(f))(jnp.stack([START, 2 * START])),
    "remat": lambda f: jax.grad(jax.checkpoint(f))(START),
}
FORWARD = {
    "value": TRANSFORMS["value"],
    "jvp": TRANSFORMS["jvp"],
    "jvp in vmap": lambda f: jax.vmap(lambda v: jax.jvp(f, (START,), (v,))[1])(BASIS),
    "jacfwd twice": lambda f: jax.jacfwd(jax.jacfwd(f))(START),
}
CASES = [
    (build, transforms)
    for build, transforms in (
        (scanned, TRANSFORMS),
        (conditional, TRANSFORMS),
        (batched, TRANSFORMS),
        (looped, FORWARD),
    )
]


@pytest.mark.parametrize(
    ("build", "transforms", "strict"),
    [(*case, False) for case in CASES] + [(*CASES[0], True)],
)
def test_every_transformation_equals_plain_autodiff(build, transforms, strict):
    mode = "strict" if strict else "standard"

    def all_of(total):
        return {name: run(build(total)) for name, run in transforms.items()}

    with jax.numpy_dtype_promotion(mode), jax.debug_nans(strict):
        found = jax.jit(lambda: all_of(mass))() if not strict else all_of(mass)
    expected = jax.jit(lambda: all_of(plain))()
    for name in transforms:
        assert found[name].dtype == jnp.float32
        np.testing.assert_allclose(
            found[name], expected[name], rtol=3e-6, atol=3e-6, err_msg=name
        )


def test_second_derivatives_of_a_standard_deviation_through_scan():
    """std() = √(Σ R²): its Hessian in the root through a roll-out."""

    def run(spread):
        def body(s, _):
            return jnp.sqrt(s) * Gaussian.diagonal(s, s).std(), None

        return jnp.sum(jax.lax.scan(body, spread, None, length=2)[0])

    # s -> s^(3/2) -> s^(9/4), whose second derivative is 45/16 s^(1/4).
    expected = np.diag(45 / 16 * np.asarray(START, float) ** 0.25)
    np.testing.assert_allclose(jax.hessian(run)(START), expected, rtol=1e-5, atol=1e-6)


def test_linear_functions_transpose():
    """`from_fn` needs a transpose: for an integral, the cell volumes."""
    law = from_fn(lambda u: jnp.stack([GRID.integrate(u), u[1]]), (4,), 1.0)
    assert law.operator.rows().tolist() == [[0.25] * 4, [0.0, 1.0, 0.0, 0.0]]
    residual = from_fn(integral(GRID, 0.0).residual, (4,), 0.0)
    assert residual.operator.rows().tolist() == [[-0.25] * 4]
    (back,) = jax.linear_transpose(jax.vmap(mass), jnp.zeros((2, 4)))(
        jnp.array([4.0, 8.0])
    )
    assert back.tolist() == [[1.0] * 4, [2.0] * 4]


def test_the_value_has_float64_accuracy_and_its_dtype_is_the_callers():
    """1e8 + 1 - 1e8: float32 gives 0."""
    total = float64_primal(lambda u: jnp.sum(u))
    u = jnp.array([1e8, 1.0, -1e8])
    for found in (total(u), jax.jit(total)(u), jax.vmap(total)(u[None])[0]):
        assert found.dtype == jnp.float32
        assert float(found) == 1.0
    with jax.enable_x64(True):
        wide = jnp.array([1e16, 1.0, -1e16])
        assert total(wide).dtype == jnp.float64
        assert total(u).dtype == jnp.float32
        np.testing.assert_array_equal(jax.hessian(total)(wide), np.zeros((3, 3)))


def test_arrays_closed_over_are_batched():
    """A function that closes over an array of an outer vmap or jit."""

    def shifted(a):
        return in_float64(lambda u: jnp.sum(u * a))(START)

    found = jax.jit(jax.vmap(shifted))(jnp.array([1.0, 2.0]))
    assert found.tolist() == [5.0, 10.0]
    with pytest.raises(NotImplementedError, match="pass the array as an argument"):
        jax.grad(shifted)(1.0)


def test_integer_and_boolean_results():
    """Results that are not floating keep 32 bits, and don't hinder a derivative."""
    fn = float64_primal(lambda u: (jnp.sum(u), jnp.argmax(u), jnp.any(u > 0)))
    total, index, positive = jax.vmap(fn)(START[None])
    assert (total.dtype, index.dtype, positive.dtype) == (jnp.float32, jnp.int32, bool)
    assert jax.grad(lambda u: fn(u)[0])(START).tolist() == [1.0] * 4


def test_powers_of_two_are_exact_in_any_unit(rng):
    x = rng.normal(size=1000) * 10.0 ** rng.uniform(-30, 30, 1000)
    x = np.append(x, [1.0, 1.5, 3.0, 3e38, 2e-38]).astype(np.float32)
    got = np.asarray(jax.jit(safe.power_of_two)(x))
    _, exponent = np.frexp(np.abs(x))
    np.testing.assert_array_equal(got, np.ldexp(1.0, np.clip(exponent - 1, -124, 124)))
    special = jnp.array([0.0, jnp.inf, -jnp.inf, jnp.nan])
    np.testing.assert_array_equal(safe.power_of_two(special), 1)


def test_a_rule_is_kept_where_a_scan_is_differentiated_twice():
    """JAX drops a custom_jvp there: k(k(q)) at q = 0, where √q has no derivative."""

    def twice(q):
        return jax.lax.scan(lambda u, _: (kernels.matern52(u), None), q, None, 2)[0]

    r = np.sqrt(5)
    first = [-5 / 6, -5 / 6 * (1 + r) * np.exp(-r)]  # k' at 0 and at k(0) = 1
    second = [25 / 12, 25 / 12 * np.exp(-r)]
    wanted = second[1] * first[0] ** 2 + first[1] * second[0]
    forward = jax.jvp(jax.grad(twice), (0.0,), (1.0,))[1]
    assert forward == pytest.approx(wanted, rel=1e-5)
    assert jax.grad(jax.grad(twice))(0.0) == pytest.approx(wanted, rel=1e-5)


def test_a_rollout_of_conditionings_has_second_derivatives():
    """u -> u a, then its mean is set to 1."""

    def rollout(correct):
        def run(a):
            step = lambda u, _: (correct(u * a), None)  # noqa: E731
            return jax.lax.scan(step, jnp.ones(4), None, length=2)[0][0] ** 2

        return run

    def conditioned(u):
        prior = Gaussian.diagonal(u, jnp.ones(4))
        return condition(prior, integral(GRID, 1.0), throw=False).posterior.mean

    wanted = jax.hessian(rollout(lambda u: u + 1.0 - plain(u)))(START)
    found = jax.hessian(rollout(conditioned))(START)
    np.testing.assert_allclose(found, wanted, atol=1e-5)
