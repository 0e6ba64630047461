"""Scores of probabilistic predictions, and their errors in conserved quantities.

Predictions are means and standard deviations per point, or samples. Scores are means
over all points of one prediction, so `jax.vmap` gives one score for each function.
"""

from physcon._arguments import name_wrong_arguments
from physcon.metrics.scores import (
    calibration_factor,
    conservation_error,
    energy_score,
    gaussian_crps,
    gaussian_log_likelihood,
    interval_coverage,
    interval_width,
    mean_squared_error,
    probability_integral_transform,
    relative_l2,
    standardized,
)
from physcon.metrics.shocks import (
    ShockPosition,
    shock_position,
    shock_position_error,
)

__all__ = [
    "ShockPosition",
    "calibration_factor",
    "conservation_error",
    "energy_score",
    "gaussian_crps",
    "gaussian_log_likelihood",
    "interval_coverage",
    "interval_width",
    "mean_squared_error",
    "probability_integral_transform",
    "relative_l2",
    "shock_position",
    "shock_position_error",
    "standardized",
]

name_wrong_arguments(globals())
