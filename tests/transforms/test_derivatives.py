"""Derivatives of public functions in every combination of transformations.

Each family is a function of four numbers. Its derivatives in forward and reverse mode
and its Hessian, inside `lax.scan`, are compared with differences of its float64 values
under `jax.vmap`; the float32 gradients of some (batched, without promotion of dtypes,
and with jax_debug_nans) are compared with the float64 ones. That every public function
can be traced without promotion is a part of test_export_everything.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import conditioning, fv, kernels, metrics, models, operators
from physcon.mesh import triangles
from physcon.models import gp

N = 4
STEP = 2.0**-9
GRID = pc.Grid.uniform(0.0, 1.0, N)
NODES = pc.Grid.uniform(0.0, 1.0, 5, location="nodes")
BOX = triangles((0.0, 0.0), (1.0, 1.0), (2, 2))
WALLS = pc.Boundary((pc.Dirichlet(0.3), pc.Neumann(0.7)))


def prior(x):
    """Mean and standard deviation both depend on x."""
    return pc.Gaussian.diagonal(x, 0.5 + 0.1 * x**2)


def ensemble(x):
    members = jnp.stack([x, x**2, jnp.sin(3 * x)])
    return pc.Gaussian.from_samples(members, jnp.full_like(x, 0.3))


def mass(x):
    return pc.integral(GRID, jnp.sum(x**2), noise_std=0.1 + 0.1 * x[0] ** 2)


def two(x):
    """Rows and values that depend on x."""
    rows = jnp.stack([jnp.cos(x), jnp.arange(N, dtype=x.dtype) - x])
    return pc.LinearConstraint(pc.Rows(rows), jnp.stack([x[1], 0.5 * x[2]]))


def conditioned(prior_of, law_of):
    def fn(x):
        found = pc.condition(prior_of(x), law_of(x), throw=False)
        posterior = found.posterior
        white = jnp.ones(posterior.root.in_shape, x.dtype)
        root = posterior.root.mv(white)  # as a draw is made
        return found.log_evidence, posterior.mean, posterior.std(), root

    return fn


def halves(x):
    return pc.block_means(GRID, 2, jnp.stack([x[0] * x[1], x[2]]))


def balance(x):
    flux = jnp.stack([x, x**2, jnp.sin(x)])[:, :3]
    law = pc.balance(
        pc.Grid.uniform(0.0, 1.0, 2), jnp.array([0.0, 0.5], x.dtype), (flux[None, 0],)
    )
    field = pc.Gaussian.diagonal(x.reshape(2, 2), 0.5 + 0.1 * x.reshape(2, 2) ** 2)
    found = pc.condition(field, law, throw=False)
    return found.posterior.mean, found.log_evidence


def two_components(x):
    """One number is at the lower bound, and two are kept in order."""
    far = x - 2 * jnp.eye(N, dtype=x.dtype)[0]
    both = pc.Gaussian.diagonal(far.reshape(2, 2), 0.5 + 0.1 * x.reshape(2, 2) ** 2)
    total = 0.5 + 0.1 * jnp.sum(x**2)
    law = pc.LinearConstraint(pc.Rows(jnp.ones((1, 2, 2), x.dtype)), total[None])
    return pc.ordered(both, law, lower=0.0, throw=False).mean


def flows(x):
    """Four pipes between two junctions and the outside, one supply with an error."""
    pipes = [(-1, 0), (0, 1), (0, 1), (1, -1)]
    noise = jnp.stack([jnp.zeros_like(x[0]), 0.1 + 0.1 * x[0] ** 2])
    return pc.incidence(pipes, 2, jnp.stack([x[0] * x[1], x[2]]), noise)


def inequalities(x):
    """One number is at its lower bound, and one row at its upper end."""
    far = pc.Gaussian.diagonal(x - 4 * jnp.eye(N, dtype=x.dtype)[0], 0.5 + 0.1 * x**2)
    rows = jnp.array([[0.0, 1.0, 1.0, 0.0]], x.dtype)
    law = pc.integral(GRID, 0.4 + 0.1 * jnp.sum(x**2))
    ends = {"rows": rows, "row_upper": 0.5 + 0.1 * x[3] ** 2}
    return conditioning.constrained(far, law, 0.0, **ends, throw=False).mean


def fractions(x):
    """Three at each of two points; the last one is zero."""
    mean = jnp.stack([x, x**2, x - 4])[:, :2]
    far = pc.Gaussian.diagonal(mean, 0.5 + 0.1 * jnp.stack([x, x[::-1], x])[:, 2:] ** 2)
    return conditioning.simplex(far, total=1 + 0.1 * x[2:] ** 2, throw=False).mean


def profile(x):
    """The first two points form one block."""
    law = pc.integral(GRID, 0.5 + 0.1 * jnp.sum(x**2))
    far = pc.Gaussian.diagonal(x - jnp.arange(4, 0, -1) / 2, 0.5 + 0.1 * x**2)
    return conditioning.monotone(far, law, throw=False).mean


def energy(x):
    law = conditioning.NonlinearConstraint(
        lambda u: jnp.sum(u**2)[None], 1 + 0.3 * x[:1] ** 2
    )
    found = conditioning.condition_nonlinear(prior(x), law, throw=False)
    return found.mean, found.posterior.std()


def factors(x):
    law = pc.totals(jnp.array([0, 0, 1, -1]), 1 + x[:2] ** 2, weights=1 + x[::-1])
    return pc.condition_relative(x, law, 0.5 + 0.1 * x**2, throw=False).mean


def measurements(x):
    found = pc.diagnose(prior(x), two(x), max_errors=1)
    tests = found.chi_squared, found.p_value, found.row_score
    return *tests, found.adjustment, found.score


def certain_scores(x):
    """The first point has no spread and is met, the second one is not."""
    std = (0.5 + 0.1 * x**2) * jnp.array([0, 1, 1, 1], x.dtype)
    truth = jnp.where(std == 0, x, jnp.cos(x))
    law = pc.integral(GRID, 0.1 * x[0])
    certain = pc.condition(pc.Gaussian.diagonal(x, std), law, throw=False).posterior
    return (
        metrics.gaussian_log_likelihood(x, std, truth),
        metrics.gaussian_crps(x, std, truth),
        metrics.gaussian_crps(x, std[::-1], truth),
        metrics.probability_integral_transform(x, std[::-1], truth)[:3],
        certain.std(),
    )


def box(x):
    far = pc.Gaussian.diagonal(x - 2 * jnp.eye(N, dtype=x.dtype)[0], 0.5 + 0.1 * x**2)
    law = pc.integral(GRID, 0.5 + 0.1 * jnp.sum(x**2))
    return pc.bounded(far, law, 0.0, throw=False).mean


def moments(x):
    law = pc.integral(GRID, 0.5 + 0.1 * jnp.sum(x**2))
    return pc.marginal_moments(prior(x), law, 0.0, throw=False)


def processes(x):
    points = GRID.coordinates[0].astype(x.dtype)[:, None]
    seen = models.Observations(points, (x + jnp.sin(3 * x))[:, None])
    start = gp.gp_start(seen)
    smooth = pc.stationary(
        x, kernels.matern52, GRID, x[0], 0.1 + 0.1 * x[1], throw=False
    )
    return (
        gp.gp_log_evidence(start, seen),
        gp.gp_posterior(start, seen, points + 0.03).mean,
        smooth.root.mv(jnp.ones(smooth.root.in_shape, x.dtype)),
    )


def kernel_matrices(x):
    points = jnp.stack([x, x**2], 1)
    one = jnp.ones((), x.dtype)
    return [
        kernels.covariance(k, points, points, 1 + x[0], one)
        for k in (kernels.matern32, kernels.matern52, kernels.squared_exponential)
    ]


def solutions(x):
    diffusion = fv.Problem(fv.PorousMedium(1.0 + x[0]), GRID, WALLS)
    waves = fv.solve(
        1 + 0.1 * x[None],
        fv.Burgers(),
        GRID,
        pc.Boundary(pc.Periodic()),
        fv.Scheme(fv.Constant(), step=fv.forward_euler),
        times=[0.05],
        dt=0.025,
        loop="checkpointed",
        max_steps=2,
        throw=False,
    )
    implicit = fv.implicit_euler(diffusion, x[None], jnp.zeros(()), 0.02 + 0.01 * x[1])
    return waves.u, implicit


def on_a_mesh(x):
    law = fv.Advection((1.0 + 0.1 * x[0], 0.5 * x[1]))
    scheme = fv.Scheme(fv.Linear("venkatakrishnan"), step=fv.forward_euler)
    given = {"left": pc.Dirichlet(x[2]), "right": pc.Outflow()}
    given |= dict.fromkeys(("bottom", "top"), pc.Outflow())
    steps = {"dt": 0.02, "loop": "checkpointed", "max_steps": 2}
    u = jnp.concatenate([x, x**2])[None]
    found = fv.solve(u, law, BOX, given, scheme, times=[0.04], **steps, throw=False)
    return found.u


def corrections(x):
    u = jnp.concatenate([x, x[:1] ** 2])[None]
    sides = pc.Boundary((pc.Dirichlet(x[0] * x[1]), pc.Neumann(x[2])))
    weights = jnp.ones((2, 1, 1, 2), x.dtype)  # real and imaginary parts
    return (
        operators.lift(u, sides, NODES, throw=False),
        operators.overwrite(u**2, sides, NODES, throw=False),
        operators.corrected_spectral_conv(weights, u**2, sides, NODES, throw=False),
    )


def scores(x):
    std = 0.5 + 0.1 * x**2
    samples = jnp.stack([x, x**2, jnp.sin(x)])
    truth = jnp.cos(x)
    return (
        metrics.gaussian_log_likelihood(x, std, truth),
        metrics.gaussian_crps(x, std, truth),
        metrics.energy_score(samples, truth),
        metrics.relative_l2(x, truth),
        metrics.probability_integral_transform(x, std, truth),
        metrics.conservation_error(x**2, GRID.weights(), x[0]),
        models.mixture_moments(samples, samples**2),
    )


FAMILIES = {
    "condition, one noisy row": conditioned(prior, mass),
    "condition, rows that move": conditioned(prior, two),
    "condition, ensemble": conditioned(ensemble, two),
    "condition, block means": conditioned(prior, halves),
    "condition, sparse rows": conditioned(prior, flows),
    "condition, balance": balance,
    "bounded": box,
    "constrained": inequalities,
    "simplex": fractions,
    "ordered": two_components,
    "monotone": profile,
    "condition_nonlinear": energy,
    "condition_relative": factors,
    "diagnose": measurements,
    "marginal moments": moments,
    "Gaussian processes": processes,
    "kernels": kernel_matrices,
    "finite volumes": solutions,
    "finite volumes on a mesh": on_a_mesh,
    "boundary corrections": corrections,
    "scores": scores,
    "scores of certain points": certain_scores,
}


def scalar(fn):
    """A weighted sum of all results, so that each of them counts."""

    def weighted(x):
        leaves = jax.tree.leaves(fn(x))
        real = [leaf for leaf in leaves if jnp.issubdtype(leaf.dtype, jnp.floating)]
        flat = jnp.concatenate([jnp.ravel(leaf) for leaf in real])
        weight = jnp.cos(jnp.arange(flat.size, dtype=flat.dtype))
        return jnp.sum(weight * flat**2)

    return weighted


#: Families of a few operations, whose second derivatives are taken in every order.
EVERY_ORDER = ("condition, one noisy row", "kernels")


#: Families that are also differentiated in float32.
NARROW = ("condition, rows that move", "bounded", "kernels", "scores")


def derivatives(fn, every_order, x, v):
    """Values near x, and first and second derivatives along v, by each way."""
    f = scalar(fn)

    def along(x):
        return jax.jvp(f, (x,), (v,))[1]

    def in_scan(x):
        step = lambda carry, _: (carry, f(carry))  # noqa: E731
        return jax.lax.scan(step, x, None, length=2)[1].sum() / 2

    shifts = STEP * jnp.array([-2.0, -1.0, 0.0, 1.0, 2.0], x.dtype)
    values = jax.vmap(f)(x[None] + shifts[:, None] * v[None])
    slope, hv = jax.jvp(jax.grad(in_scan), (x,), (v,))
    second = {"forward over reverse in a scan": hv}
    if every_order:
        second["reverse over forward"] = jax.grad(along)(x)
        second["reverse over reverse"] = jax.vjp(jax.grad(f), x)[1](v)[0]
    return values, along(x), slope, second


@pytest.mark.parametrize("name", FAMILIES)
def test_derivatives_agree_with_differences(name):
    fn = FAMILIES[name]
    with jax.enable_x64(True):
        x = jnp.array([0.7, 0.35, 0.9, 0.55])
        v = jnp.array([0.6, -0.3, 0.5, 0.4])
        every_order = name in EVERY_ORDER
        found = jax.jit(derivatives, static_argnums=(0, 1))(fn, every_order, x, v)
    x, v, (values, forward, slope, second) = jax.tree.map(np.asarray, (x, v, found))
    first = values @ [1, -8, 0, 8, -1] / (12 * STEP)
    curvature = values @ [-1, 16, -30, 16, -1] / (12 * STEP**2)
    assert abs(first) > 1e-3
    assert abs(curvature) > 1e-3
    assert forward == pytest.approx(first, rel=1e-6)
    assert slope @ v == pytest.approx(first, rel=1e-6)
    for way, hv in second.items():
        assert hv @ v == pytest.approx(curvature, rel=1e-5), way
        size = 1e-9 * np.abs(hv).max()
        one_way = second["forward over reverse in a scan"]
        np.testing.assert_allclose(hv, one_way, atol=size, err_msg=way)
    if name not in NARROW:
        return
    with jax.numpy_dtype_promotion("strict"), jax.debug_nans(True):
        narrow = jax.jit(jax.vmap(jax.grad(scalar(fn))))(jnp.asarray(x[None], "f4"))
    np.testing.assert_allclose(narrow[0], slope, atol=2e-4 * np.abs(slope).max())
