"""Neural operators whose boundary conditions hold exactly."""

from physcon.operators._correct import correct as correct
from physcon.operators._correct import (
    corrected_spectral_conv as corrected_spectral_conv,
)
from physcon.operators.bases import basis_conv as basis_conv
from physcon.operators.bases import init_basis_weights as init_basis_weights
from physcon.operators.boon import BoundaryFNO as BoundaryFNO
from physcon.operators.enforce import Residual as Residual
from physcon.operators.enforce import lift as lift
from physcon.operators.enforce import overwrite as overwrite
from physcon.operators.enforce import residuals as residuals
from physcon.operators.fno import FNO as FNO
from physcon.operators.fno import Normaliser as Normaliser
from physcon.operators.fno import mean_and_variance as mean_and_variance
from physcon.operators.lowrank import CPWeights as CPWeights
from physcon.operators.lowrank import TuckerWeights as TuckerWeights
from physcon.operators.pytorch import fno_from_pytorch as fno_from_pytorch
from physcon.operators.spectral import init_spectral_weights as init_spectral_weights
from physcon.operators.spectral import spectral_conv as spectral_conv
