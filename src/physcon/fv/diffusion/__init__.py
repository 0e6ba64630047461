"""Diffusion laws and the fluxes that they make."""

from physcon.fv.diffusion.law import Diffusion as Diffusion
from physcon.fv.diffusion.media import Heat as Heat
from physcon.fv.diffusion.media import PorousMedium as PorousMedium
from physcon.fv.diffusion.mixed import Mixed as Mixed
from physcon.fv.diffusion.stefan import Stefan as Stefan
