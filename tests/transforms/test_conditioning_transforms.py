"""Derivatives and transforms of `condition`: jvp = vjp = differences, vmap = loop, and
what the traced program may not contain.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from helpers import CONSTRAINTS, SHAPE, gaussian, rows

PAIRS = [
    ("diagonal", "integral"),
    ("diagonal", "3 windows"),
    ("diagonal", "5 noisy rows"),
    ("posterior", "noisy integral"),
    ("some zero variances", "2 rows"),
]


def outputs(prior: pc.Gaussian, constraint: pc.LinearConstraint):
    """All results of a conditioning, as one vector."""
    out = pc.condition(prior, constraint, throw=False)
    posterior = out.posterior
    u = posterior.mean + posterior.root.mv(
        jnp.linspace(-1, 1, posterior.mean.size).reshape(SHAPE)
    )
    scalars = jnp.stack([out.log_evidence, posterior.log_prob(u)])
    return jnp.concatenate([u.ravel(), posterior.std().ravel(), scalars])


def random_like(tree, rng):
    return jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape), x.dtype), tree)


def dot(a, b):
    return sum(
        jnp.vdot(x, y)
        for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    )


@pytest.mark.parametrize(("root", "law"), PAIRS)
def test_jvp_equals_vjp_equals_differences(root, law, rng, x64):
    """In mean, root, operator, value and noise; second order by differences."""
    args = gaussian(rng, root), CONSTRAINTS[law](rng)
    direction = random_like(args, rng)
    if (
        root != "diagonal"
    ):  # zero variances stay zero, and a posterior's root keeps its meaning
        fixed = jax.tree.map(jnp.zeros_like, direction[0].root)
        direction = (eqx.tree_at(lambda p: p.root, direction[0], fixed), direction[1])

    @jax.jit
    def tangents(args):
        value, tangent = jax.jvp(lambda *a: outputs(*a), args, direction)
        return value, tangent

    @jax.jit
    def second(args):
        return jax.jvp(lambda a: tangents(a)[1], (args,), (direction,))[1]

    def moved(h):
        return jax.tree.map(lambda x, d: x + h * d, args, direction)

    h = 1e-6
    _, tangent = tangents(args)
    (up, slope_up), (down, slope_down) = tangents(moved(h)), tangents(moved(-h))
    size = 1 + np.abs(tangent).max()
    np.testing.assert_allclose(tangent, (up - down) / (2 * h), atol=1e-7 * size)
    curve = second(args)
    difference = (slope_up - slope_down) / (2 * h)
    size = 1 + np.abs(curve).max()
    np.testing.assert_allclose(curve, difference, atol=1e-7 * size)
    weight = random_like(tangent, rng)
    cotangent = jax.jit(lambda a: jax.vjp(lambda *a: outputs(*a), *a)[1](weight))(args)
    np.testing.assert_allclose(
        dot(cotangent, direction), dot(weight, tangent), rtol=1e-10
    )


def test_gradients_of_redundant_rows(rng, x64):
    """[g; h; 2 g - h] u = [a; b; 2 a - b] has the posterior and the slopes of [g; h] u
    = [a; b].
    """
    prior, two = gaussian(rng, "diagonal"), rows(rng, 2)

    def loss(std, g, b, redundant):
        if redundant:
            g = jnp.concatenate([g, (2 * g[0] - g[1])[None]])
            b = jnp.append(b, 2 * b[0] - b[1])
        p = pc.Gaussian.diagonal(prior.mean, std)
        out = pc.condition(p, pc.LinearConstraint(pc.Rows(g), b), throw=False)
        return jnp.sum(jnp.sin(out.posterior.mean)) + jnp.sum(out.posterior.std() ** 3)

    both = jax.jit(jax.value_and_grad(loss, argnums=(0, 1, 2)), static_argnums=3)
    args = (prior.root.diagonal, two.operator.weights, two.value)
    (value, slopes), (want, wanted) = both(*args, True), both(*args, False)
    np.testing.assert_allclose(value, want, rtol=1e-12)
    for slope, expected in zip(slopes, wanted, strict=True):
        np.testing.assert_allclose(slope, expected, rtol=1e-9, atol=1e-11)


N, BATCH = 20, 4


def batch_of_priors(rng):
    mean = jnp.asarray(rng.normal(size=(BATCH, N)), jnp.float32)
    std = jnp.asarray(rng.uniform(0.1, 1, (BATCH, N)), jnp.float32)
    weights = jnp.asarray(rng.normal(size=(2, N)), jnp.float32)
    return mean, std, weights, jnp.asarray(rng.normal(size=(BATCH, 2)), jnp.float32)


def score(mean, std, weights, value):
    """A loss through mean, variance and evidence."""
    constraint = pc.LinearConstraint(pc.Rows(weights), value)
    out = pc.condition(pc.Gaussian.diagonal(mean, std), constraint, throw=False)
    posterior = out.posterior
    return jnp.sum(posterior.mean**2) + jnp.sum(posterior.variance()) + out.log_evidence


def test_vmap_is_a_loop(rng):
    mean, std, weights, value = batch_of_priors(rng)
    batched = jax.jit(jax.vmap(jax.value_and_grad(score, (0, 1, 3)), (0, 0, None, 0)))
    single = jax.jit(jax.value_and_grad(score, (0, 1, 3)))
    got = batched(mean, std, weights, value)
    want = [single(mean[i], std[i], weights, value[i]) for i in range(BATCH)]
    want = jax.tree.map(lambda *x: jnp.stack(x), *want)
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=3e-6, atol=3e-5)


def _scanned(f):
    return lambda *a: jax.lax.scan(
        lambda c, x: (c + f(c, *a[1:]), None), a[0], None, length=2
    )[0]


COMPOSITIONS = {
    "jit of grad": lambda f: jax.jit(jax.grad(lambda *a: jnp.sum(f(*a)))),
    "grad of remat": lambda f: jax.grad(jax.checkpoint(lambda *a: jnp.sum(f(*a)))),
    "hvp": lambda f: (
        lambda x, *a: jax.jvp(
            jax.grad(lambda x: jnp.sum(f(x, *a) ** 2)), (x,), (jnp.ones_like(x),)
        )[1]
    ),
    "jit of jacrev": lambda f: jax.jit(jax.jacrev(f)),
    "jacfwd of vmap": lambda f: jax.jacfwd(
        lambda x, *a: jax.vmap(lambda y: f(y, *a))(x[None])
    ),
    "jit of vmap of hessian": lambda f: jax.jit(
        lambda x, *a: jax.vmap(jax.hessian(lambda y: jnp.sum(f(y, *a) ** 2)))(x[None])
    ),
    "grad of scan": lambda f: jax.grad(lambda *a: jnp.sum(_scanned(f)(*a))),
}


@pytest.mark.parametrize("name", COMPOSITIONS)
def test_compositions_in_float32_agree_with_float64(name, rng):
    """Every transform of the float32 program gives the float64 result to float32
    accuracy.
    """

    def update(mean, std, weights, value):
        constraint = pc.LinearConstraint(pc.Rows(weights), value)
        posterior = pc.condition(
            pc.Gaussian.diagonal(mean, std), constraint, throw=False
        ).posterior
        return posterior.mean + posterior.std()

    mean, std, weights, value = (
        x[0] if x.ndim == 2 else x for x in batch_of_priors(rng)
    )
    weights = jnp.asarray(rng.normal(size=(2, 5)), jnp.float32)
    args = (mean[:5], std[:5], weights, value[:2])
    program = COMPOSITIONS[name](update)
    got = program(*args)
    with jax.enable_x64(True):
        want = jax.jit(program)(
            *jax.tree.map(lambda x: jnp.asarray(np.asarray(x), jnp.float64), args)
        )
    size = 1 + np.abs(want).max()
    np.testing.assert_allclose(got, want, rtol=1e-4, atol=3e-5 * size)


def equations(jaxpr):
    """All equations of a jaxpr and of those inside it."""
    for equation in jaxpr.eqns:
        yield equation
        for value in jax.tree.leaves(
            equation.params, is_leaf=lambda v: hasattr(v, "eqns") or hasattr(v, "jaxpr")
        ):
            inner = getattr(value, "jaxpr", value)
            if hasattr(inner, "eqns"):
                yield from equations(inner)


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_program_has_no_dense_covariance_and_no_callback(rows):
    """No array of n² elements, no host callback, and no LAPACK call for up to three
    rows.
    """
    n = 97

    def everything(mean, std, weights, value):
        constraint = pc.LinearConstraint(pc.Rows(weights), value)
        prior = pc.Gaussian.diagonal(mean, std)
        out = pc.condition(prior, constraint, throw=False)
        sample = out.posterior.sample(jax.random.key(0))
        return jnp.sum(sample + out.posterior.std()) + out.posterior.log_prob(sample)

    shapes = [(3, n), (3, n), (rows, n), (3, rows)]
    args = [jax.ShapeDtypeStruct(s, jnp.float32) for s in shapes]
    program = jax.vmap(jax.value_and_grad(everything, (0, 1, 2, 3)), (0, 0, None, 0))
    names, largest = set(), 0
    for equation in equations(jax.make_jaxpr(program)(*args).jaxpr):
        names.add(equation.primitive.name)
        largest = max(
            [largest, *(getattr(v.aval, "size", 0) for v in equation.outvars)]
        )
    assert "reduce_sum" in names  # the walk went inside
    # Products of pairs of rows: on accelerators, inside of fused sums.
    assert largest <= 3 * max(2, rows) * rows * n
    assert not any("callback" in name for name in names)
    assert ("cholesky" in names) == (rows > 3)
