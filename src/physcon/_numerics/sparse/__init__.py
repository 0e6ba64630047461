"""Sparse symmetric systems: ordering and analysis on the host, numbers in JAX."""

from physcon._numerics.sparse.analysis import (
    Pattern,
    TooFull,
    analyse,
    index_array,
)
from physcon._numerics.sparse.definite import factorise_definite
from physcon._numerics.sparse.factor import (
    Factored,
    factorise,
    refactor,
    scaled,
)
from physcon._numerics.sparse.gathers import pick
from physcon._numerics.sparse.inverse import log_det, selected_inverse
from physcon._numerics.sparse.substitution import solve, solve_scaled

__all__ = [
    "Factored",
    "Pattern",
    "TooFull",
    "analyse",
    "factorise",
    "factorise_definite",
    "index_array",
    "log_det",
    "pick",
    "refactor",
    "scaled",
    "selected_inverse",
    "solve",
    "solve_scaled",
]
