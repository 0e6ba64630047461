"""Tasks: stratified, sorted, on tensor grids, different for every function, fixed by
the key.
"""

import jax
import numpy as np
import pytest

from physcon.problems import (
    PROBLEMS,
    Burgers,
    Heat,
    PorousMedium,
    Stefan,
    evaluation_problems,
    sample_task,
    sample_tasks,
    training_problems,
)

N, NT, NX = 40, 10, 8
families = pytest.mark.parametrize("family", PROBLEMS.values(), ids=PROBLEMS.keys())


@pytest.fixture(
    scope="module", params=[Heat, Stefan, Burgers], ids=["heat", "stefan", "burgers"]
)
def sampled(request):
    """Problems of one family and their tasks: families that differ in their domains."""

    @jax.jit
    def draw(key):
        problems = training_problems(key, request.param, N)
        return problems, sample_tasks(key, problems, (NT, NX), (NX, NT))

    return draw(jax.random.key(7))


def axes(points, nt, nx):
    """Times (function, nt) and positions (function, nx) of the tensor grids."""
    grid = np.asarray(points.inputs).reshape(N, nt, nx, 2)
    assert np.all(grid[..., 0] == grid[:, :, :1, 0])  # row = it * nx + ix
    assert np.all(grid[..., 1] == grid[:, :1, :, 1])
    return grid[:, :, 0, 0], grid[:, 0, :, 1]


def test_points_are_sorted_inside_the_domain_and_context_times_stratified(sampled):
    problems, tasks = sampled
    settings = problems.settings
    for points, nt, nx in ((tasks.context, NT, NX), (tasks.target, NX, NT)):
        t, x = axes(points, nt, nx)
        for values, (lower, upper) in ((t, settings.t), (x, settings.x)):
            assert np.all(np.diff(values) >= 0)
            assert values.min() >= lower
            assert values.max() <= np.float32(upper)
    t, _ = axes(tasks.context, NT, NX)
    strata = np.floor((t - settings.t[0]) / (settings.t[1] - settings.t[0]) * NT)
    assert np.all(strata == np.arange(NT))
    t, _ = axes(tasks.target, NX, NT)
    strata = np.floor((t - settings.t[0]) / (settings.t[1] - settings.t[0]) * NX)
    assert not np.all(
        strata == np.arange(NX)
    )  # as published: targets are not stratified


def test_positions_are_uniform(sampled):
    problems, tasks = sampled
    lower, upper = problems.settings.x
    _, x = axes(tasks.context, NT, NX)
    share = (x - lower) / (upper - lower)
    # mean and variance of a uniform, within 4 standard errors of N NX draws
    assert abs(share.mean() - 0.5) < 4 * np.sqrt(1 / 12 / share.size)
    assert abs(share.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / share.size)


def test_every_function_has_its_own_points_and_parameter(sampled):
    problems, tasks = sampled
    for rows in (
        tasks.context.inputs,
        tasks.target.inputs,
        tasks.context.inputs[..., :1],
    ):
        assert len(np.unique(np.asarray(rows).reshape(N, -1), axis=0)) == N
    assert len(np.unique(problems.parameter)) == N
    lower, upper = problems.settings.training
    assert lower <= problems.parameter.min() < problems.parameter.max() <= upper
    assert not np.intersect1d(tasks.context.inputs, tasks.target.inputs).size


def test_outputs_are_the_solution_at_the_inputs(sampled):
    problems, tasks = sampled
    solve = jax.jit(jax.vmap(lambda p, i: p.solution(i[:, 0], i[:, 1])))
    for points in (tasks.context, tasks.target):
        u = solve(problems, points.inputs)
        np.testing.assert_allclose(points.outputs[..., 0], u, rtol=1e-5, atol=1e-6)


def test_batch_equals_loop_and_the_key_decides():
    problems = training_problems(jax.random.key(1), PorousMedium, 3)
    key = jax.random.key(2)
    many, single = jax.jit(sample_tasks), jax.jit(sample_task)
    tasks, again, other = (
        many(key, problems),
        many(key, problems),
        many(jax.random.key(3), problems),
    )
    assert tasks.context.inputs.shape == (3, 100, 2)
    assert tasks.target.outputs.shape == (3, 100, 1)
    for i, k in enumerate(jax.random.split(key, 3)):
        one = single(k, PorousMedium(problems.parameter[i]))
        for got, batch in zip(
            jax.tree.leaves(one), jax.tree.leaves(tasks), strict=True
        ):
            np.testing.assert_allclose(got, batch[i], rtol=1e-6)
    np.testing.assert_array_equal(tasks.context.inputs, again.context.inputs)
    assert not np.any(
        np.asarray(tasks.context.inputs) == np.asarray(other.context.inputs)
    )


@families
def test_evaluation_problems_take_the_published_parameters_in_turn(family):
    values = np.asarray(family.settings.test, dtype=np.float32)
    problems = evaluation_problems(family, 5 * len(values))
    np.testing.assert_array_equal(problems.parameter, np.repeat(values, 5))


def test_a_batch_is_asked_for_where_one_is_needed():
    with pytest.raises(
        ValueError, match=r"expected a batch of problems.*use sample_task"
    ):
        sample_tasks(jax.random.key(0), PorousMedium(2.0))
    with pytest.raises(ValueError, match=r"expected a multiple of 3.*got 10"):
        evaluation_problems(PorousMedium, 10)


def test_sampling_needs_no_callback():
    def draw(key):
        return sample_tasks(key, training_problems(key, PorousMedium, 4))

    assert "callback" not in str(jax.make_jaxpr(draw)(jax.random.key(0)))
