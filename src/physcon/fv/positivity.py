"""A limiter that keeps density, pressure and depth positive, and order and mass."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp

from physcon._checks import require
from physcon._numerics import safe
from physcon._typing import Array, Float
from physcon.fv.ghost import take
from physcon.fv.law import Law
from physcon.fv.protocols import ghosts_of


class Positive(eqx.Module):
    """A reconstruction whose face states are scaled towards the cell average.

    Each of the law's `positive` quantities q is kept at least `floor` times its value
    at the average, at both faces and in the rest of the cell: u = (lower + upper)/6 +
    2/3 rest. With rusanov, hll or hllc the averages then stay admissible under SSP
    Runge-Kutta steps of CFL <= 1/6 (larger ones mostly do); in smooth flow away from
    zero nothing changes.

    Attributes:
        reconstruct: any reconstruction, e.g. ``MUSCL()``.
        floor: smallest share of the average that is kept.

    Raises:
        ValueError: the law declares no positive quantity.

    Source: Zhang and Shu, J. Comput. Phys. 229 (2010) 8918; for the scaling by
    concavity, Zhang, Xia and Shu, J. Sci. Comput. 50 (2012) 29.
    """

    reconstruct: Any
    floor: float = eqx.field(static=True, default=1e-3)

    @property
    def ghosts(self) -> int:
        """Number of cells that the reconstruction reads beyond each side."""
        return ghosts_of(self.reconstruct)

    def __call__(
        self, u: Float[Array, "c *p"], law: Law, axis: int, widths: Float[Array, "..."]
    ) -> tuple[Float[Array, "c *f"], Float[Array, "c *f"]]:
        """Left and right states of the faces."""
        left, right = self.reconstruct(u, law, axis, widths)
        g, n = self.ghosts, u.shape[1 + axis]
        mean = take(u, g - 1, n - g + 1, axis)  # all cells that touch a face
        cells = mean.shape[1 + axis]
        # The faces beyond the outermost cells are not known: their averages are used.
        first = take(mean, 0, 1, axis)
        last = take(mean, cells - 1, cells, axis)
        lower = jnp.concatenate([first, right], axis=1 + axis)
        upper = jnp.concatenate([left, last], axis=1 + axis)
        quantities = law.positive(mean)
        require(
            len(quantities) > 0,
            f"`positive` in {type(law).__name__}, for Positive to keep",
            "no quantities",
            "define it, or use the reconstruction without Positive",
        )
        for k, q_mean in enumerate(quantities):
            rest = 1.5 * mean - 0.25 * (lower + upper)
            least = safe.smaller(law.positive(lower)[k], law.positive(upper)[k])
            least = safe.smaller(least, law.positive(rest)[k])
            keep = jnp.where(q_mean > 0, self.floor * q_mean, q_mean)
            short = least < keep
            share = jnp.where(short, safe.divide(q_mean - keep, q_mean - least), 1)
            # Inadmissible averages fall back to first order.
            share = jnp.where(q_mean > 0, share, 0)[None]
            lower = mean + share * (lower - mean)
            upper = mean + share * (upper - mean)
        return take(upper, 0, cells - 1, axis), take(lower, 1, cells, axis)
