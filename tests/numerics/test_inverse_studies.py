"""The inverse studies on a tiny scale: gradients against differences, and what each one
claims.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import fv
from physcon.boundary import Boundary, Dirichlet
from physcon.grid import Grid
from physcon.operators import Normaliser
from physcon.studies.boon import networks as boon_networks
from physcon.studies.inverse import (
    assimilation,
    cavity_flows,
    cavity_likelihood,
    cavity_network,
    conductivity,
    porous_medium,
    stefan,
    stefan_model,
)

STEFAN = stefan.InverseStefanConfig(cells=60, data_sets=100)
ROD = conductivity.ConductivityConfig(cells=16, steps=8, readings=4, sensors=4)
POROUS = porous_medium.PorousMediumConfig(cells=16, steps=20, readings=5, knots=3)
CAVITY = cavity_flows.InverseCavityConfig(
    nodes=7, times=4, time=0.2, sensors=3, modes=2, width=4, depth=1
)


def _sum_of_squares(misfit):
    return lambda theta: 0.5 * jnp.sum(misfit(theta) ** 2)


def _conductivity():
    truth = conductivity.example(jnp.linspace(0, 1, 16))
    data = conductivity.readings(truth, ROD)
    return _sum_of_squares(lambda t: conductivity.misfit(t, data, ROD)), truth + 0.2


def _porous():
    data = porous_medium.exact_readings(jnp.asarray(2.0), POROUS)
    theta = jnp.asarray([0.5, -0.7, -0.1, 0.3])
    return _sum_of_squares(lambda t: porous_medium.misfit(t, data, POROUS)), theta


def _stefan():
    data = stefan_model.simulate(jax.random.key(1), STEFAN)
    return lambda t: stefan_model.negative_log_likelihood(
        t, data, STEFAN, True
    ), data.theta + 0.05


def _check(loss, theta):
    """Along two random directions, central differences of two steps (error h⁴ by
    extrapolation).
    """
    directions = jax.random.normal(jax.random.key(3), (2, *theta.shape), theta.dtype)
    h = 1e-3
    steps = h * jnp.array([-2.0, -1.0, 1.0, 2.0])
    points = theta[None, None] + steps[:, None, None] * directions[None]
    u = jax.vmap(jax.vmap(loss))(points)
    differences = (u[0] - 8 * u[1] + 8 * u[2] - u[3]) / (12 * h)
    return directions @ jax.grad(loss)(theta), differences


@pytest.mark.parametrize("problem", [_conductivity, _porous, _stefan])
def test_gradient_of_the_objective_is_that_of_differences(problem, x64):
    loss, theta = problem()
    gradient, differences = jax.jit(lambda theta: _check(loss, theta))(theta)
    np.testing.assert_allclose(gradient, differences, rtol=2e-5)


def test_states_of_the_cavity_obey_no_slip_and_predictions_are_made_to(x64):
    """Seven integrals at every time; the misfit is that of the field; gradient by
    differences.
    """
    keys = jax.random.split(jax.random.key(0), 4)
    flow = jax.tree.map(lambda leaf: leaf[0], cavity_flows.flows(keys[0], CAVITY, 1))
    one = Normaliser(jnp.zeros(1), jnp.ones(1))
    net = boon_networks.network("basis", CAVITY.network(), keys[1], one, one)
    surface = 0.1 * jax.random.normal(keys[2], (66, 4, 7, 4))
    errors = 0.1 * jax.random.normal(keys[3], (60, 7, 7, 4))
    surrogate = cavity_network.Surrogate(net, surface, errors)
    readings = cavity_likelihood.sensing(CAVITY).operator.mv(flow.vorticity[..., 1:])

    @eqx.filter_jit
    def everything(surrogate, flow, theta):
        law = cavity_flows.no_slip(flow.lid, CAVITY, "no slip")
        given = cavity_likelihood.field(surrogate, theta, flow.lid, CAVITY, "no slip")
        sensors = cavity_likelihood.sensing(CAVITY)
        rows = sensors.operator.rows().reshape(readings.size, -1)
        spread = rows @ given.covariance() @ rows.T + jnp.diag(sensors.noise() ** 2)
        missed = readings - sensors.operator.mv(given.mean)
        sight = cavity_likelihood.sight(surrogate, CAVITY, "no slip")

        def white(theta):
            return cavity_likelihood.misfit(
                sight, theta, flow.lid, readings, CAVITY, "no slip"
            )

        squares = jnp.sum(white(theta) ** 2), missed @ jnp.linalg.solve(spread, missed)
        laws = law.residual(flow.vorticity[..., 1:]), law.residual(given.mean)
        return laws, squares, _check(_sum_of_squares(white), theta)

    theta = flow.theta + 0.02
    laws, squares, (gradient, differences) = everything(surrogate, flow, theta)
    np.testing.assert_allclose(laws, 0, atol=1e-12)
    np.testing.assert_allclose(*squares, rtol=1e-8)
    np.testing.assert_allclose(gradient, differences, rtol=2e-5)


def test_the_mass_narrows_the_interval_of_the_melting_value_and_keeps_its_coverage():
    data = stefan.simulated(STEFAN)

    @jax.jit
    def intervals(data):
        def both(d):
            return [stefan.integrated_interval(d, STEFAN, c) for c in (False, True)]

        return jax.lax.map(both, data)

    plain, constrained = intervals(data)
    deviation = np.sqrt(0.05 * 0.95 / 100)
    for each in (plain, constrained):
        assert abs(float(each.covers.mean()) - 0.95) < 3 * deviation
    width = [float((each.upper - each.lower).mean()) for each in (plain, constrained)]
    assert width[1] < 0.7 * width[0]


def test_the_analysis_conserves_mass_where_asked_for():
    """Localisation loses it; without it every member keeps the common total."""
    config = assimilation.AssimilationConfig(cells=32, members=6, sensors=4, cycles=3)
    history = jax.jit(lambda key: assimilation.twin(key, config))(jax.random.key(0))
    lost = {
        method: float(np.abs(np.asarray(u, float).mean(axis=-1) - config.mean).max())
        for method, u in history.members.items()
    }
    assert lost["localised, mass conserved"] < 1e-7
    assert lost["square root, localised, mass conserved"] < 1e-7
    assert lost["ensemble Kalman"] < 1e-5
    assert lost["localised"] > 1e-2


def test_derivative_of_a_forecast_and_its_analysis(x64):
    """Forward mode through the solver's loop and the update, along a change of the
    members.
    """
    config = assimilation.AssimilationConfig(
        cells=16, members=4, sensors=4, interval=0.02
    )
    keys = jax.random.split(jax.random.key(4), 3)
    x = jnp.arange(16) / 16
    phase = jnp.arange(4.0)[:, None]
    members = 0.5 + 0.3 * jnp.sin(2 * jnp.pi * x[None] + phase)
    change = jax.random.normal(keys[0], members.shape)
    change = change - change.mean(axis=1, keepdims=True)
    readings = jax.random.normal(keys[1], (4,))

    def analysed(s):
        ahead = jax.vmap(lambda u: assimilation.forecast(u, config))(
            members + s * change
        )
        after = assimilation.update(
            ahead, readings, keys[2], config, "localised, mass conserved"
        )
        return jnp.sum(after**2)

    @jax.jit
    def both():
        h = 1e-6
        _, slope = jax.jvp(analysed, (jnp.zeros(()),), (jnp.ones(()),))
        low, high = jax.vmap(analysed)(jnp.array([-h, h]))
        return slope, (high - low) / (2 * h)

    np.testing.assert_allclose(*both(), rtol=1e-5)


def test_layers_in_series_carry_one_flux():
    """Steady state of a rod of layers: u falls by q h / k in each cell, q = 1 / Σ h /
    k.
    """
    k = jnp.array([1.0, 4.0, 0.5, 2.0, 2.0, 0.1])
    problem = fv.Problem(
        fv.Layered(k),
        Grid.uniform(0.0, 1.0, 6),
        Boundary((Dirichlet(1.0), Dirichlet(0.0))),
    )
    u = fv.implicit_euler(problem, jnp.zeros((1, 6)), jnp.zeros(()), jnp.asarray(1e6))
    resistance = 1 / (6 * k)
    before = jnp.cumsum(resistance) - 0.5 * resistance
    np.testing.assert_allclose(u[0], 1 - before / resistance.sum(), rtol=1e-5)
