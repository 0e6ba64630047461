"""A hyperbolic law and a diffusion together."""

from typing import Any

import equinox as eqx

from physcon._arguments import check_fields
from physcon.fv.diffusion.law import Diffusion


class Mixed(eqx.Module):
    """u_t + div F(u) = div(k(u) grad u).

    Attributes:
        hyperbolic: the `Law` with the flux F.
        diffusion: the `Diffusion` with the coefficient k.
    """

    hyperbolic: Any
    diffusion: Diffusion

    def __check_init__(self) -> None:
        check_fields(self)
