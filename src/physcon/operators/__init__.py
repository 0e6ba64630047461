"""Neural operators whose boundary conditions hold exactly."""

from physcon._arguments import name_wrong_arguments
from physcon.operators._correct import correct, corrected_spectral_conv
from physcon.operators.bases import basis_conv, init_basis_weights
from physcon.operators.boon import BoundaryFNO
from physcon.operators.enforce import Residual, lift, overwrite, residuals
from physcon.operators.fno import FNO
from physcon.operators.forms import form_for
from physcon.operators.lowrank import CPWeights, TuckerWeights
from physcon.operators.normaliser import Normaliser, mean_and_std, mean_and_variance
from physcon.operators.pytorch import fno_from_pytorch
from physcon.operators.spectral import init_spectral_weights, spectral_conv

__all__ = [
    "FNO",
    "BoundaryFNO",
    "CPWeights",
    "Normaliser",
    "Residual",
    "TuckerWeights",
    "basis_conv",
    "correct",
    "corrected_spectral_conv",
    "fno_from_pytorch",
    "form_for",
    "init_basis_weights",
    "init_spectral_weights",
    "lift",
    "mean_and_std",
    "mean_and_variance",
    "overwrite",
    "residuals",
    "spectral_conv",
]

name_wrong_arguments(globals())
