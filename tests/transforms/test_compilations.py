"""The second eager call with equal shapes compiles nothing.

A program that is compiled anew at each call takes seconds and keeps memory maps, of
which Linux allows a process 65 530.
"""

import jax
import jax.monitoring
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon import conditioning as pcc
from physcon import fv, inverse, metrics, models
from physcon._numerics.closure import opened
from physcon._numerics.float64 import in_float64

N = 6
GRID = pc.Grid.uniform(0.0, 1.0, N)
NODES = pc.Grid.uniform(0.0, 1.0, N, location="nodes")
WALLS = pc.Boundary((pc.Dirichlet(0.2), pc.Dirichlet(0.8)))
KEY = jax.random.key(0)

DIFFUSION = fv.Problem(fv.PorousMedium(2.0), GRID, WALLS)
WAVES = fv.Problem(fv.Mixed(fv.Burgers(), fv.Heat()), GRID, WALLS)
ANP = models.ANP(dim=1, size=4, heads=2, layers=1, key=KEY)
POINTS = GRID.coordinates[0][:, None]

compiled: list[float] = []


def _listen(event: str, duration: float, **_: object) -> None:
    if event.endswith("backend_compile_duration"):
        compiled.append(duration)


jax.monitoring.register_event_duration_secs_listener(_listen)


def prior(shift: float) -> pc.Gaussian:
    return pc.Gaussian.diagonal(
        jnp.linspace(0.2, 0.8, N) + 0.01 * shift, jnp.full(N, 0.3 + 0.01 * shift)
    )


def law(shift: float) -> pc.LinearConstraint:
    return pc.integral(GRID, 0.5 + 0.01 * shift)


def two(shift: float) -> pc.LinearConstraint:
    ends = pc.boundary_values(NODES, WALLS)
    return pcc.stack(pc.integral(NODES, 0.5 + 0.01 * shift), ends)


def energy(u):
    return jnp.sum(u**2)[None]


def surface(shift: float) -> pcc.NonlinearConstraint:
    return pcc.NonlinearConstraint(energy, jnp.array([2.0 + 0.1 * shift]))


def misfit(shift: float):
    """A new function at every call, with a float64 sum inside."""
    data = jnp.array([1.0, 2.0]) + shift
    return lambda theta: data - GRID.integrate(theta) * theta[:2]


def likelihood(shift: float):
    wrong = misfit(shift)
    return lambda theta: 0.5 * jnp.sum(wrong(theta) ** 2)


def state(shift: float):
    return prior(shift).mean[None]


def step(method, problem):
    return lambda s: method(problem, state(s), jnp.asarray(0.0), jnp.asarray(0.01 + s))


def solve(law, shift: float, **changed):
    return fv.solve(state(shift), law, GRID, WALLS, times=[0.01], **changed)


def growing_walls(shift: float):
    """A function of time that is written anew for each call."""
    return pc.Boundary((pc.Dirichlet(lambda t: shift * t), pc.Neumann(0.0)))


def contexts(shift: float):
    return models.Observations(POINTS, 1.0 + shift + jnp.sin(3 * POINTS))


def matern(shift: float):
    return lambda q: jnp.exp(-(1.0 + shift) * q)


#: Functions that are written inside a loop, each with other numbers in it.
NEW_FUNCTIONS = {
    "condition_nonlinear": lambda s: pcc.condition_nonlinear(
        prior(s),
        pcc.NonlinearConstraint(lambda u: (1.0 + s) * energy(u), jnp.array([2.0])),
    ),
    "from_fn": lambda s: pcc.from_fn(lambda u: (1.0 + s) * GRID.integrate(u), (N,), s),
    "solve, source": lambda s: solve(fv.Heat(), s, source=lambda u, t: -(0.3 + s) * u),
    "solve, event": lambda s: solve(
        fv.Heat(), s, event=lambda u, t: u[0, 0] - (9.0 + s)
    ),
    "solve, boundary": lambda s: fv.solve(
        state(s), fv.Heat(), GRID, growing_walls(s), times=[0.01]
    ),
    "solve, scheme": lambda s: solve(
        fv.Burgers(),
        s,
        scheme=fv.Scheme(
            riemann=lambda a, b, law, axis: fv.rusanov(a, b, law, axis),
            step=lambda problem, u, t, dt: u + dt * problem(u, t),
        ),
    ),
    "stationary": lambda s: pc.stationary(
        prior(s).mean, matern(s), GRID, 1.0, 0.1
    ).std(),
    "gp_log_evidence": lambda s: models.gp.gp_log_evidence(
        models.gp.gp_start(contexts(s)), contexts(s), matern(s)
    ),
    "gp_posterior": lambda s: (
        models.gp.gp_posterior(
            models.gp.gp_start(contexts(s)),
            contexts(s),
            POINTS + 0.01,
            kernel=matern(s),
        ).mean
    ),
}

#: Public functions; the argument changes the values, never the shapes.
CALLS = {
    "condition": lambda s: pc.condition(prior(s), law(s)),
    "condition, three rows": lambda s: pc.condition(prior(s), two(s)),
    "bounded": lambda s: pc.bounded(prior(s), two(s), 0.0, 1.0),
    "reachable": lambda s: pcc.reachable(prior(s), law(s), 0.0, 1.0),
    "monotone": lambda s: pcc.monotone(prior(s), law(s), 0.0, 1.0),
    "isotonic_blocks": lambda s: pcc.isotonic_blocks(prior(s).mean, jnp.ones(N)),
    "condition_nonlinear": lambda s: pcc.condition_nonlinear(prior(s), surface(s)),
    "linear_image": lambda s: pcc.linear_image(
        prior(s), pc.Rows(jnp.full((1, N), 1.0 + s))
    ).std(),
    "log_density": lambda s: pcc.log_density(prior(s), surface(s), prior(s).mean),
    "sample_bounded": lambda s: pcc.sample_bounded(
        KEY, prior(s), two(s), 0.0, 1.0, (2,), sweeps=20
    ),
    "marginal_moments": lambda s: pcc.marginal_moments(prior(s), law(s), 0.0, 1.0),
    "diffuse": lambda s: pcc.diffuse(prior(s), 0.5 + 0.01 * s),
    "sensors": lambda s: pcc.sensors(GRID, np.array([0.3 + 0.01 * s]), np.ones(1)),
    "second_difference": lambda s: pcc.second_difference(NODES),
    "from_fn": lambda s: pcc.from_fn(GRID.integrate, (N,), s),
    "sample": lambda s: prior(s).sample(KEY, (2,)),
    "posterior": lambda s: (
        pc.condition(prior(s), law(s)).posterior.std(),
        pc.condition(prior(s), law(s)).posterior.log_prob(prior(s).mean),
    ),
    "least_squares": lambda s: inverse.least_squares(misfit(s), prior(s)),
    "maximum_a_posteriori": lambda s: inverse.maximum_a_posteriori(
        likelihood(s), prior(s)
    ),
    "laplace_sample": lambda s: inverse.laplace_sample(
        KEY, misfit(s), prior(s), jnp.zeros(N) + 0.1 * s, (2,)
    ),
    "evidence": lambda s: inverse.evidence(prior(s), law(s)),
    "condition, many rows": lambda s: pc.condition(
        prior(s), pc.stack(pc.second_difference(GRID), law(s)), throw=False
    ),
    "diagnose": lambda s: pc.diagnose(prior(s), law(s)),
    "implicit_euler": step(fv.implicit_euler, DIFFUSION),
    "sdirk2": step(fv.sdirk2, DIFFUSION),
    "Strang": step(fv.Strang(), WAVES),
    "tendency": lambda s: fv.tendency(state(s), fv.Burgers(), GRID, WALLS),
    "predict": lambda s: models.predict(ANP, contexts(s), POINTS, KEY, num_samples=2),
    "energy_score": lambda s: metrics.energy_score(
        jnp.stack([prior(s).mean, prior(2 * s).mean]), prior(s).mean
    ),
    **{f"{name}, a new function": call for name, call in NEW_FUNCTIONS.items()},
}


@pytest.mark.parametrize("name", CALLS)
def test_the_second_call_compiles_nothing(name):
    call = CALLS[name]
    jax.block_until_ready(jax.tree.leaves(call(0.0)))
    before = len(compiled)
    jax.block_until_ready(jax.tree.leaves(call(1.0)))
    assert len(compiled) == before


def test_a_source_that_reads_changed_values_is_not_served_from_a_cache():
    around = {"rate": 1.0}

    def source(u, t):
        return -around["rate"] * u

    still = fv.Heat(0.0)
    decay = lambda: float(  # noqa: E731
        fv.solve(
            jnp.ones((1, N)), still, GRID, WALLS, times=[0.1], dt=0.01, source=source
        ).u[0, 0, 3]
    )
    assert decay() == pytest.approx(np.exp(-0.1), rel=1e-5)
    around["rate"] = 2.0
    assert decay() == pytest.approx(np.exp(-0.2), rel=1e-5)


def test_a_step_that_reads_changed_values_is_not_served_from_a_cache():
    around = {"rate": 1.0}
    scheme = fv.Scheme(step=lambda problem, u, t, dt: (1 - around["rate"] * dt) * u)

    def decay():
        run = fv.solve(
            jnp.ones((1, N)), fv.Burgers(), GRID, WALLS, scheme, times=[0.1], dt=0.1
        )
        return float(run.u[0, 0, 3])

    assert decay() == pytest.approx(0.9)
    around["rate"] = 2.0
    assert decay() == pytest.approx(0.8)


def test_a_kernel_has_derivatives_by_what_it_closes_over():
    """In float64 the spectrum of a part of the torus is exact: Var = std² k(0) = a."""

    def total(a):
        broad = pc.stationary(
            jnp.zeros(N), lambda q: a * jnp.exp(-0.5 * q), GRID, 1.0, 0.2
        )
        return jnp.sum(broad.variance())

    def evidence(a):
        kernel = lambda q: jnp.exp(-a * q)  # noqa: E731
        return models.gp.gp_log_evidence(
            models.gp.gp_start(contexts(0.0)), contexts(0.0), kernel
        )

    assert total(1.7) == pytest.approx(1.7 * N, rel=1e-5)
    assert jax.grad(total)(1.7) == pytest.approx(N, rel=1e-5)
    with jax.enable_x64(True):
        h = 1e-5
        slope = (evidence(0.5 + h) - evidence(0.5 - h)) / (2 * h)
        assert jax.grad(evidence)(0.5) == pytest.approx(float(slope), rel=1e-5)


def test_equal_programs_with_other_derivatives_are_told_apart():
    def straight(slope):
        """u, whose derivative is said to be `slope`."""

        @jax.custom_jvp
        def fn(u):
            return 1.0 * u

        fn.defjvp(lambda primals, tangents: (fn(*primals), slope * tangents[0]))
        return fn

    one, same, other = (opened(straight(a), jnp.ones(2)) for a in (2.0, 2.0, 3.0))
    assert one.program == same.program != other.program
    assert jax.grad(lambda u: jnp.sum(other(u)))(jnp.ones(2)).tolist() == [3.0, 3.0]


def test_a_law_that_reads_changed_values_is_not_served_from_a_cache():
    """The same function object, with other numbers and arrays around it."""
    around = {"number": 1.0, "array": jnp.array([1.0, 1.0])}
    law = pcc.NonlinearConstraint(
        lambda u: around["number"] * jnp.sum(around["array"] * u**2)[None],
        jnp.ones(1),
    )
    start = pc.Gaussian.diagonal(jnp.array([0.3, 0.4]), jnp.ones(2))
    radius = lambda: np.linalg.norm(pcc.condition_nonlinear(start, law).mean)  # noqa: E731
    assert radius() == pytest.approx(1.0, rel=1e-6)
    around["number"] = 4.0
    assert radius() == pytest.approx(0.5, rel=1e-6)
    around["array"] = jnp.array([0.25, 0.25])
    assert radius() == pytest.approx(1.0, rel=1e-6)


def test_arrays_inside_of_inner_programs_count():
    """Two laws with equal texts that close over different arrays in a float64 sum."""

    def law(radius):
        weights = jnp.full(2, radius**-2)
        inner = in_float64(lambda u: jnp.sum(weights * u**2)[None])
        return pcc.NonlinearConstraint(inner, jnp.ones(1))

    start = pc.Gaussian.diagonal(jnp.array([0.3, 0.4]), jnp.ones(2))
    for radius in (1.0, 2.0, 0.5):
        found = pcc.condition_nonlinear(start, law(radius)).mean
        assert np.linalg.norm(found) == pytest.approx(radius, rel=1e-6)
