"""Data assimilation: an ensemble of forecasts is updated by observations.

The forecasts may come from any model. The updated members obey conserved totals and
bounds exactly, with any localisation and inflation.
"""

from physcon._arguments import name_wrong_arguments
from physcon.assimilation._ensemble import Analysis, ensemble_update
from physcon.assimilation._taper import gaspari_cohn, localisation

__all__ = [
    "Analysis",
    "ensemble_update",
    "gaspari_cohn",
    "localisation",
]

name_wrong_arguments(globals())
