"""A limiter that keeps density, pressure and depth positive without losing order or
mass.
"""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from physcon._typing import Array, Float
from physcon.fv.ghost import take
from physcon.fv.law import Law


class Positive(eqx.Module):
    """Any reconstruction, its face states scaled towards the cell average where they
    must be.

    Each of the law's `positive` quantities q is kept at least `floor` times that of the
    average, at both faces and in the rest of the cell: u = (lower + upper)/6 + 2/3
    rest. With rusanov, hll or hllc the averages then stay admissible under SSP
    Runge-Kutta steps of CFL <= 1/6 (larger ones mostly do); in smooth flow away from
    zero nothing changes.

    Source: Zhang and Shu, J. Comput. Phys. 229 (2010) 8918; for the scaling by
    concavity, Zhang, Xia and Shu, J. Sci. Comput. 50 (2012) 29.
    """

    reconstruct: Any
    floor: float = eqx.field(static=True, default=1e-3)

    @property
    def ghosts(self) -> int:
        """Those of the reconstruction within."""
        return self.reconstruct.ghosts

    def __call__(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right states of the faces."""
        left, right = self.reconstruct(u, law, axis, widths)
        g, n = self.ghosts, u.shape[1 + axis]
        mean = take(u, g - 1, n - g + 1, axis)  # all cells that touch a face
        cells = mean.shape[1 + axis]
        # The faces beyond the outermost cells are not known: their own average stands
        # in.
        lower = jnp.concatenate([take(mean, 0, 1, axis), right], axis=1 + axis)
        upper = jnp.concatenate(
            [left, take(mean, cells - 1, cells, axis)], axis=1 + axis
        )
        for k, q_mean in enumerate(law.positive(mean)):
            rest = 1.5 * mean - 0.25 * (lower + upper)
            least = jnp.minimum(law.positive(lower)[k], law.positive(upper)[k])
            least = jnp.minimum(least, law.positive(rest)[k])
            keep = jnp.where(q_mean > 0, self.floor * q_mean, q_mean)
            short = least < keep
            share = jnp.where(
                short, (q_mean - keep) / jnp.where(short, q_mean - least, 1), 1
            )
            # Inadmissible averages fall back to first order.
            share = jnp.where(q_mean > 0, share, 0)[None]
            lower, upper = mean + share * (lower - mean), mean + share * (upper - mean)
        return take(upper, 0, cells - 1, axis), take(lower, 1, cells, axis)
