"""Messages for bad parameters and times; one trace for all parameters."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

from physcon.problems import PROBLEMS, Heat, Stefan

BAD = {
    "heat": (0.0, -1.0),
    "pme": (0.0,),
    "stefan": (0.0, 1.0, 1.5),
    "advection": (-2.0,),
}
BAD = BAD | {"burgers": (0.0, float("nan"), float("inf"))}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name, values in BAD.items() for value in values],
)
def test_parameters_outside_the_valid_range_are_refused(name, value):
    family = PROBLEMS[name]
    expected = (
        rf"expected {family.settings.parameter} in .*{name}.*got {value}; "
        "choose one inside; the published ones are"
    )
    with pytest.raises(ValueError, match=expected):
        family(value)
    with pytest.raises(ValueError, match=expected):
        family(value, throw=False)  # a known value is checked in any case


def test_a_traced_parameter_is_checked_at_run_time():
    mass = eqx.filter_jit(lambda p: Stefan(p).mass(0.05))
    assert float(mass(jnp.float32(0.6))) > 0
    with pytest.raises(RuntimeError, match=r"expected p_star in \(0, 1\)"):
        mass(jnp.float32(1.5)).block_until_ready()
    unchecked = jax.make_jaxpr(lambda p: Stefan(p, throw=False).mass(0.05))(0.6)
    assert "callback" not in str(unchecked)


@pytest.mark.parametrize("family", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_settings_agree_with_the_class(family):
    settings = family.settings
    problem = family(settings.test[0])
    assert eqx.is_array(problem.parameter)
    assert problem.parameter is getattr(problem, settings.parameter)
    assert all(settings.valid[0] < p < settings.valid[1] for p in (*settings.training,))
    assert settings.t[0] < settings.evaluation_time <= settings.t[1]
    with pytest.raises(ValueError, match=r"expected times t >= 0, got min -0\.1"):
        problem.solution(jnp.array([0.1, -0.1]), 0.5)
    with pytest.raises(ValueError, match=r"shape \(\).*jax\.vmap"):
        family(jnp.array([settings.test[0]]))
    with pytest.raises(ValueError, match=r"expected one time.*jax\.vmap"):
        problem.cell_averages(
            jnp.array([0.1, 0.2]), jnp.linspace(settings.x[0], settings.x[1], 3)
        )


@pytest.mark.parametrize("family", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_problems_have_a_front_exactly_where_their_settings_say_so(family):
    problem = family(family.settings.test[0])
    assert family.settings.has_front == (family is not Heat)
    if family.settings.has_front:
        assert problem.front(0.05).shape == ()
    else:
        with pytest.raises(
            ValueError, match="expected a problem with a front, got 'heat'"
        ):
            problem.front(0.05)


@pytest.mark.parametrize("family", PROBLEMS.values(), ids=PROBLEMS.keys())
def test_one_trace_for_all_parameters(family):
    traces = []

    @eqx.filter_jit
    def profile(problem, x):
        traces.append(None)
        return problem.solution(0.05, x)

    x = jnp.linspace(family.settings.x[0], family.settings.x[1], 5)
    for p in family.settings.training:
        assert profile(family(p), x).shape == (5,)
    assert len(traces) == 1
