"""The exact solutions obey their equations, their jump conditions and their mass
balances.
"""

from functools import lru_cache
from itertools import pairwise

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import erf

from physcon.grid import Grid
from physcon.problems import PROBLEMS, Advection, Burgers, Heat, PorousMedium, Stefan
from physcon.problems.stefan import front_constant

# (family, parameter, times): before and after breaking, before and after the front has
# left
CASES = [
    (Heat, 1.0, (0.1, 0.7)),
    (Heat, 5.0, (0.05, 0.5)),
    (PorousMedium, 1.0, (0.3, 1.5)),
    (PorousMedium, 2.5, (0.6, 1.2)),
    (PorousMedium, 6.0, (0.5, 1.1)),
    (Stefan, 0.05, (0.02, 0.3)),
    (Stefan, 0.6, (0.05, 1.5)),
    (Stefan, 0.95, (0.1, 20.0)),
    (Advection, 1.0, (0.1, 0.8)),
    (Advection, 3.0, (0.1, 0.3)),
    (Burgers, 1.0, (0.5, 1.5)),
    (Burgers, 4.0, (0.2, 0.5, 0.9)),
]
IDS = [f"{family.__name__}({parameter})" for family, parameter, _ in CASES]
cases = pytest.mark.parametrize(("family", "parameter", "times"), CASES, ids=IDS)
fronts = pytest.mark.parametrize(
    ("family", "parameter", "times"), CASES[2:], ids=IDS[2:]
)
families = pytest.mark.parametrize("family", PROBLEMS.values(), ids=PROBLEMS.keys())
NODES, WEIGHTS = np.polynomial.legendre.leggauss(64)


def span(interval, n):
    """n equidistant points with both ends."""
    return np.linspace(interval[0], interval[1], n)


@lru_cache
def probe(family):
    """All functions of a problem at one time and 64 positions, compiled once."""

    def at_point(p, t, x):
        problem = family(p, throw=False)
        u, u_x = jax.value_and_grad(problem.solution, 1)(t, x)
        mass, mass_rate = jax.value_and_grad(problem.mass)(t)
        front, speed = (
            jax.value_and_grad(problem.front)(t) if family is not Heat else (x, x)
        )
        return {
            "u": u,
            "u_x": u_x,
            "flux": problem.flux(u, u_x),
            "primitive": problem.primitive(t, x),
            "residual": problem.residual(problem.solution, t, x),
            "mass": mass,
            "mass_rate": mass_rate,
            "front": front,
            "speed": speed,
        }

    return jax.jit(jax.vmap(at_point, (None, None, 0)))


def kinks(family, parameter, t):
    """Where the solution is not smooth, written down once more: an independent
    reference.
    """
    if family is Burgers:
        points = (
            [0.0, parameter * t - 1]
            if parameter * t < 1
            else [0.5 * (parameter * t - 1)]
        )
    elif family is PorousMedium:
        points = [t]
    elif family is Advection:
        points = [0.5 + parameter * t]
    else:
        points = [float(Stefan(parameter).front(t))] if family is Stefan else []
    lower, upper = family.settings.x
    return sorted(p for p in points if lower < p < upper)


def integral(family, parameter, t, lower, upper):
    """Gauss quadrature between kinks, in y with x = b - (b - a) y^6: exact powers at a
    front.
    """
    stops = [
        lower,
        *(p for p in kinks(family, parameter, t) if lower < p < upper),
        upper,
    ]
    y = 0.5 * (1 + NODES)
    total = 0.0
    for a, b in pairwise(stops):
        u = probe(family)(parameter, t, b - (b - a) * y**6)["u"]
        total += float(np.sum(0.5 * WEIGHTS * 6 * (b - a) * y**5 * u))
    return total


@cases
@pytest.mark.usefixtures("x64")
def test_solution_satisfies_the_equation(family, parameter, times, rng):
    for t in times:
        x = rng.uniform(*family.settings.x, 64)
        away = np.all(
            [abs(x - k) > 1e-3 for k in (*kinks(family, parameter, t), 9.0)], axis=0
        )
        got = probe(family)(parameter, t, x)
        scale = 1 + np.abs(np.asarray(got["u_x"])[away]).max()
        assert np.abs(np.asarray(got["residual"])[away]).max() <= 1e-11 * scale**2


@cases
@pytest.mark.usefixtures("x64")
def test_mass_and_primitive_are_integrals_of_the_solution(
    family, parameter, times, rng
):
    lower, upper = family.settings.x
    for t in times:
        x = np.sort(rng.uniform(lower, upper, 64))
        x[[0, -1]] = lower, upper
        got = probe(family)(parameter, t, x)
        for i in (0, 20, 40, 63):
            exact = integral(family, parameter, t, lower, x[i])
            assert float(got["primitive"][i]) == pytest.approx(exact, abs=1e-12)
        assert float(got["mass"][0]) == pytest.approx(
            float(got["primitive"][-1]), abs=1e-14
        )


@cases
@pytest.mark.usefixtures("x64")
def test_mass_changes_by_the_flux_through_the_ends(family, parameter, times):
    for t in times:
        got = probe(family)(parameter, t, span(family.settings.x, 64))
        inflow = got["flux"][0] - got["flux"][-1]
        np.testing.assert_allclose(got["mass_rate"][0], inflow, rtol=1e-10, atol=1e-12)


@fronts
@pytest.mark.usefixtures("x64")
def test_front_moves_by_rankine_hugoniot(family, parameter, times):
    for t in times:
        s = float(family(parameter).front(t))
        got = probe(family)(parameter, t, s + np.linspace(-1e-9, 1e-9, 64))
        assert float(got["u"][-1]) == 0.0
        assert float(got["flux"][-1]) == 0.0
        speed, jump, flux = (
            float(got["speed"][0]),
            float(got["u"][0]),
            float(got["flux"][0]),
        )
        if family is Burgers and parameter * t < 1:  # a resting foot, no jump yet
            assert speed == 0.0
            assert jump < 1e-7
        else:  # a porous-medium front has no jump: there F = s' u in the limit
            assert speed * jump == pytest.approx(flux, rel=1e-6)


@cases
@pytest.mark.usefixtures("x64")
def test_cell_averages_hold_the_mass_also_with_a_front_inside_a_cell(
    family, parameter, times
):
    faces = span(family.settings.x, 64)
    for t in times:
        averages = np.asarray(averages_of(family)(parameter, t, faces))
        got = probe(family)(parameter, t, faces)
        np.testing.assert_allclose(
            averages * np.diff(faces), np.diff(got["primitive"]), atol=1e-15
        )
        assert averages @ np.diff(faces) == pytest.approx(
            float(got["mass"][0]), abs=1e-13
        )


@lru_cache
def averages_of(family):
    """Compiled cell averages of (parameter, time, faces)."""
    return jax.jit(lambda p, t, faces: family(p, throw=False).cell_averages(t, faces))


def test_burgers_is_continuous_in_time_through_the_break():
    problem, x = Burgers(2.0), jnp.array([-0.8, -0.1, 0.1, 0.8])
    solution = jax.jit(lambda t: problem.solution(t, x))
    before, after = solution(0.5 - 1e-5), solution(0.5)
    np.testing.assert_allclose(before, after, atol=1e-5)
    np.testing.assert_array_equal(after, [2.0, 2.0, 0.0, 0.0])
    assert float(problem.breaking_time) == 0.5


def test_burgers_mass_stops_growing_when_the_shock_has_left():
    # The published mass, a (1 + a t) / 2, goes on to 10 at t = 1 for a = 4; the domain
    # holds 8.
    np.testing.assert_allclose(
        Burgers(4.0).mass(jnp.array([0.0, 0.5, 0.75, 1.0])), [2, 6, 8, 8]
    )


def test_nodal_values_miss_the_mass_and_cell_averages_do_not():
    # Trapezoid defects on 201 nodes at t = 0.5, as measured on the published data.
    nodes, cells = Grid.uniform(0.0, 1.0, 201, "nodes"), Grid.uniform(0.0, 1.0, 201)
    x, faces = nodes.coordinates[0], cells.faces()

    @jax.jit
    def defects(m):
        problem = PorousMedium(m, throw=False)
        nodal = nodes.integrate(problem.solution(0.5, x))
        averaged = cells.integrate(problem.cell_averages(0.5, faces))
        return nodal - problem.mass(0.5), averaged - problem.mass(0.5)

    for m, expected in ((1.0, 0.0), (3.0, -3.4e-4), (6.0, -1.03e-3)):
        nodal, averaged = defects(m)
        assert float(nodal) == pytest.approx(expected, rel=1e-2, abs=1e-7)
        assert abs(float(averaged)) <= 2e-7


@families
def test_float32_cell_averages_hold_the_mass_to_rounding(family):
    settings = family.settings
    faces = jnp.asarray(span(settings.x, 202))
    widths = np.diff(np.asarray(faces, dtype="f8"))

    @jax.jit
    @jax.vmap
    def answers(p, t):
        problem = family(p, throw=False)
        return problem.cell_averages(t, faces), problem.mass(t)

    p, t = np.meshgrid(span(settings.training, 4), span(settings.t, 9))
    averages, mass = answers(p.reshape(-1).astype("f4"), t.reshape(-1).astype("f4"))
    assert averages.dtype == mass.dtype == jnp.float32
    averages, mass = np.asarray(averages, dtype="f8"), np.asarray(mass, dtype="f8")
    content = np.abs(averages) @ widths + np.abs(mass)
    assert np.all(np.abs(averages @ widths - mass) <= 4 * np.finfo("f4").eps * content)


@pytest.mark.usefixtures("x64")
def test_stefan_front_constant_is_the_root_to_rounding():
    p = np.concatenate([np.linspace(0.05, 0.95, 19), [1e-6, 1e-3, 0.999]])

    def root(p):
        g = lambda z: p * z * np.exp(z * z) * erf(z) - (1 - p) / np.sqrt(np.pi)  # noqa: E731
        return float(brentq(g, 1e-9, 10.0, xtol=1e-16, rtol=np.float64(1e-15)))  # type: ignore

    exact = np.array([root(float(q)) for q in p])
    np.testing.assert_allclose(front_constant(jnp.asarray(p)), exact, rtol=4e-15)
    single = p.astype(np.float32)
    exact = np.array([root(float(q)) for q in single])
    with jax.enable_x64(False):
        got = jax.jit(jax.vmap(front_constant))(single)
        np.testing.assert_allclose(got, exact, rtol=float(np.finfo("f4").eps) / 2)


@pytest.mark.usefixtures("x64")
def test_stefan_front_constant_has_first_and_second_derivatives():
    p, h = jnp.array([0.05, 0.3, 0.6, 0.95]), 1e-5

    @jax.jit
    @jax.vmap
    def derivatives(p):
        first = jax.grad(front_constant)
        return front_constant(p), first(p), jax.grad(first)(p)

    ahead, at, behind = derivatives(p + h), derivatives(p), derivatives(p - h)
    for order in (0, 1):
        differences = (ahead[order] - behind[order]) / (2 * h)
        np.testing.assert_allclose(at[order + 1], differences, rtol=1e-6)


@families
@pytest.mark.usefixtures("x64")
def test_derivatives_in_the_parameter_match_differences(family):
    faces = jnp.asarray(span(family.settings.x, 8))
    x = 0.5 * (faces[1:] + faces[:-1])
    h = 1e-6

    def answers(p, t):
        problem = family(p, throw=False)
        return problem.solution(t, x), problem.cell_averages(t, faces), problem.mass(t)

    both = jax.jit(lambda p, t: (answers(p, t), jax.jacrev(answers)(p, t)))
    for parameter, times in [(c[1], c[2]) for c in CASES if c[0] is family]:
        for t in times:
            (ahead, _), (behind, _) = both(parameter + h, t), both(parameter - h, t)
            _, jacobian = both(parameter, t)
            for got, plus, minus in zip(jacobian, ahead, behind, strict=True):
                np.testing.assert_allclose(
                    got, (plus - minus) / (2 * h), rtol=1e-6, atol=1e-8
                )


@families
def test_derivatives_are_finite_everywhere(family):
    # At t = 0, on and beyond the front, in float32 and in reverse mode.
    t, x = np.meshgrid(span(family.settings.t, 5), span(family.settings.x, 11))

    @jax.jit
    @jax.grad
    def slope(p):
        problem = family(p, throw=False)
        averages = problem.cell_averages(t[0, 2], jnp.asarray(x[:, 0]))
        return (
            jnp.sum(problem.solution(t, x))
            + jnp.sum(problem.mass(t))
            + jnp.sum(averages)
        )

    assert bool(jnp.isfinite(slope(jnp.float32(family.settings.test[0]))))


@pytest.mark.usefixtures("x64")
def test_residual_of_a_field_that_is_no_solution():
    t, x = jnp.asarray(0.7), jnp.asarray(0.4)
    field = lambda t, x: t**2 + x**3  # noqa: E731
    u, u_t, u_x, u_xx = t**2 + x**3, 2 * t, 3 * x**2, 6 * x
    m = 2.5
    expected = [
        (Heat(3.0), u_t - 3 * u_xx),
        (PorousMedium(m), u_t - m * u ** (m - 1) * u_x**2 - u**m * u_xx),
        (Stefan(0.3), u_t - u_xx),  # u >= p*
        (Stefan(0.9), u_t),  # u < p*
        (Advection(2.0), u_t + 2 * u_x),
        (Burgers(2.0), u_t + u * u_x),
    ]
    for problem, value in expected:
        residual = jax.jit(lambda t, x, problem=problem: problem.residual(field, t, x))
        np.testing.assert_allclose(residual(t, x), value, rtol=1e-13)


def test_porous_medium_penalty_trains_where_the_prediction_is_negative():
    # u^(m-2) is infinite at u = 0 for m < 2: the derivative must be 0 there, not NaN.
    def penalty(shift):
        u = lambda t, x: t - x + shift  # noqa: E731
        return PorousMedium(1.5).residual(u, jnp.float32(0.1), jnp.float32(0.5)) ** 2

    slope = jax.jit(jax.grad(penalty))
    assert float(slope(0.0)) == 0.0
    assert float(slope(1.0)) != 0.0
