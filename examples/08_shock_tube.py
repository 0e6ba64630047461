# %% [markdown]
# # 8. A shock tube and its gradient
#
# A membrane separates gas of high pressure from gas of low pressure. When it breaks, a
# shock runs into the thin gas, a contact discontinuity follows, and a rarefaction opens
# into the dense gas (Sod 1978). The finite-volume solver takes a law, a grid, boundary
# conditions and a scheme: reconstruction, Riemann solver and time step.

# %%
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure

from physcon import fv
from physcon.boundary import Boundary, Outflow
from physcon.grid import Grid

law = fv.Euler(1.4)
boundary = Boundary(Outflow())


def tube(pressure, cells):
    """Gas at rest: density 1 and the given pressure on the left, 0.125 and 0.1 on the
    right.
    """
    grid = Grid.uniform(0.0, 1.0, cells)
    left = grid.coordinates[0] < 0.5
    w = [jnp.where(left, 1.0, 0.125), jnp.zeros(cells), jnp.where(left, pressure, 0.1)]
    return law.conservative(jnp.stack(w)), grid


schemes = {
    "constant, Rusanov": fv.Scheme(fv.Constant(), fv.rusanov, fv.forward_euler),
    "MUSCL, HLLC": fv.Scheme(fv.MUSCL(), fv.hllc, fv.muscl_hancock),
    "WENO5-Z, HLLC": fv.Scheme(
        fv.WENO(variables="characteristic"), fv.hllc, fv.ssp_rk3
    ),
}
start, grid = tube(1.0, 100)
results = {
    name: fv.solve(start, law, grid, boundary, scheme, times=[0.2], cfl=0.4)
    for name, scheme in schemes.items()
}

# %% [markdown]
# Between shock and rarefaction the exact solution has the pressure 0.30313 and the
# speed 0.92745 on both sides of the contact (Toro 2009, table 4.2).

# %%
for name, result in results.items():
    density, speed, pressure = np.asarray(law.primitive(result.u[-1]))
    print(
        f"{name:18s} {int(result.steps)} steps, "
        f"p* = {pressure[70]:.4f}, u* = {speed[70]:.4f}"
    )
    assert abs(pressure[70] - 0.30313) < 0.005
    # Nothing has reached the ends: mass and energy are the same as at the start.
    np.testing.assert_allclose(
        grid.integrate(result.u[-1])[::2], grid.integrate(start)[::2], 2e-6
    )

# %% [markdown]
# ## Which pressure makes the gas that fast?
#
# The whole solution has a derivative. Forward mode differentiates the fast loop; for
# reverse mode pass `loop="checkpointed"`. Newton's method finds the pressure at which
# the contact moves with the speed 1.1.


# %%
@jax.jit
def star_speed(pressure):
    start, grid = tube(pressure, 100)
    scheme = schemes["MUSCL, HLLC"]
    out = fv.solve(
        start, law, grid, boundary, scheme, times=[0.15], cfl=0.4, throw=False
    )
    return law.primitive(out.u[-1])[1, 64]


pressure = jnp.asarray(1.0)
for _ in range(4):
    speed, slope = jax.jvp(star_speed, (pressure,), (jnp.ones(()),))
    print(
        f"p = {float(pressure):.4f}  u* = {float(speed):.4f}  "
        f"du*/dp = {float(slope):.4f}"
    )
    pressure = pressure + (1.1 - speed) / slope
assert abs(float(star_speed(pressure)) - 1.1) < 1e-3

figure = Figure(figsize=(8, 3), layout="constrained")
axes = figure.subplots(1, 3)
for k, label in enumerate(("density", "velocity", "pressure")):
    for name, result in results.items():
        axes[k].plot(
            grid.coordinates[0], law.primitive(result.u[-1])[k], lw=1.2, label=name
        )
    axes[k].set(xlabel="position x", ylabel=label)
axes[0].legend(frameon=False, fontsize=7)
Path("out").mkdir(exist_ok=True)
figure.savefig("out/08_shock_tube.png", dpi=120)
