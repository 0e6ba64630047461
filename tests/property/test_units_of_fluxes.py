"""Fluxes and Riemann solvers of every law, with gradients, in tiny and huge units.

`physcon.fv.solve` scales the state itself; these are the functions that users call.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon import fv

FACES = 8
SOLVERS = {"hll": fv.hll, "rusanov": fv.rusanov, "roe": fv.roe, "hllc": fv.hllc}


def euler(unit):
    """Density, momentum and energy in another unit of mass."""
    return fv.Euler(1.4), (unit, unit, unit)


def shallow(unit):
    """Depth and discharge in another unit of length of the depth alone."""
    return fv.ShallowWater(9.81 / unit, dry=1e-6 * unit), (unit, unit)


def over_a_bed(unit):
    law = fv.ShallowWater(9.81 / unit, dry=1e-6 * unit, bed=True)
    return law, (unit, unit, unit)


def with_dye(unit):
    return fv.PassiveScalars(fv.Euler(1.4), 1), (unit,) * 4


def traffic(unit):
    return fv.Traffic(1.0, unit), (unit,)


def burgers(unit):
    return fv.Burgers(), (unit,)


LAWS = {f.__name__: f for f in (euler, shallow, over_a_bed, with_dye, traffic, burgers)}


def states(rng, name):
    first = rng.uniform(0.5, 2, FACES)
    v = rng.normal(size=FACES)
    rows = {
        "euler": [first, first * v, 2 + 0.5 * first * v**2],
        "shallow": [first, first * v],
        "over_a_bed": [first, first * v, rng.uniform(0, 0.1, FACES)],
        "with_dye": [first, first * v, 2 + 0.5 * first * v**2, 0.3 * first],
        "traffic": [0.4 * first],
        "burgers": [v],
    }
    return np.stack(rows[name])


def flux_of(law, solver, left, right):
    if solver == "flux":
        return law.flux(left, 0)
    if isinstance(law, fv.ShallowWater):
        return law.numerical_flux(SOLVERS[solver], left, right, 0)
    return SOLVERS[solver](left, right, law, 0)


CASES = [(law, "flux") for law in LAWS]
CASES += [("traffic", "rusanov"), ("burgers", "rusanov")]
CASES += [(law, s) for law in ("euler", "shallow") for s in SOLVERS]
CASES += [("over_a_bed", "hll"), ("with_dye", "hll")]


@pytest.mark.parametrize(("name", "solver"), CASES)
def test_values_and_gradients_scale_with_the_unit(rng, name, solver):
    left, right = states(rng, name), states(rng, name)
    weight = rng.normal(size=left.shape)

    def total(state, law):
        flux = flux_of(law, solver, state, right * scale)
        return jnp.sum(flux * weight)

    def found(unit):
        nonlocal scale
        law, units = LAWS[name](jnp.float32(unit))
        scale = jnp.asarray(units, jnp.float32)[:, None]
        state = jnp.asarray(left, jnp.float32) * scale
        value = flux_of(law, solver, state, right * scale) / scale
        slope, by_law = jax.grad(total, argnums=(0, 1))(state, law)
        jam = by_law.jam_density if name == "traffic" else jnp.zeros(())
        power = 2 if name == "burgers" else 1  # its flux is u²/2
        return (
            np.asarray(value, float) / unit ** (power - 1),
            np.asarray(slope, float) / unit ** (power - 1),
            np.asarray(jam, float),
        )

    scale = jnp.ones(())
    right, weight = jnp.asarray(right, jnp.float32), jnp.asarray(weight, jnp.float32)
    expected = found(1.0)
    # The flux of Burgers, and the slope of a speed of traffic, are squares.
    reach = 40 if name in ("burgers", "traffic") else 80
    for unit in (2.0**-reach, 2.0**reach):
        for got, known in zip(found(unit), expected, strict=True):
            np.testing.assert_allclose(got, known, rtol=2e-5, atol=2e-6)
