"""Diffusion laws and the fluxes that they make."""

from physcon.fv.diffusion.law import Diffusion
from physcon.fv.diffusion.media import Heat, PorousMedium
from physcon.fv.diffusion.mixed import Mixed
from physcon.fv.diffusion.stefan import Stefan

__all__ = ["Diffusion", "Heat", "Mixed", "PorousMedium", "Stefan"]
