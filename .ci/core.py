"""What must work with the seven packages of the core and without any extra."""

from importlib.util import find_spec

import jax
import jax.numpy as jnp

import physcon as pc

grid = pc.Grid.uniform(0.0, 1.0, 50)
mean = jnp.ones(50)


@jax.jit
@jax.grad
def sensitivity(std: jax.Array) -> jax.Array:
    prior = pc.Gaussian.diagonal(mean, std)
    posterior = pc.condition(prior, pc.integral(grid, 1.5)).posterior
    return posterior.mean[0]


assert jnp.all(jnp.isfinite(sensitivity(0.1 * mean)))

u = jnp.where(grid.coordinates[0] < 0.5, 1.0, 0.0)[None]
solution = pc.fv.solve(
    u, pc.fv.Burgers(), grid, pc.Boundary(pc.Periodic()), times=[0.1]
)
assert abs(float(grid.integrate(solution.u[-1] - u)[0])) < 1e-6

network = pc.operators.FNO.init(jax.random.key(0), 1, 1, modes=(4,), width=4, depth=1)
assert network(u).shape == u.shape

if find_spec("matplotlib"):
    raise SystemExit("expected the core alone, and matplotlib is installed")
message = ""
try:
    pc.report  # noqa: B018
except ImportError as error:
    message = str(error)
if "physcon[report]" not in message:
    raise SystemExit(f"expected an error that names the extra, got {message!r}")
print("the core works without extras")
