"""Linear maps between arrays: observation operators and covariance roots, one class a
structure.
"""

from physcon.linear_map.basic import ROUNDING, Diagonal, LinearMap, Rows
from physcon.linear_map.circulant import Circulant
from physcon.linear_map.combine import (
    BlockDiagonal,
    Compose,
    Kronecker,
    Sum,
    split_fields,
)
from physcon.linear_map.dense import Dense, LowRank
from physcon.linear_map.stencil import Difference, Stencil

__all__ = [
    "ROUNDING",
    "BlockDiagonal",
    "Circulant",
    "Compose",
    "Dense",
    "Diagonal",
    "Difference",
    "Kronecker",
    "LinearMap",
    "LowRank",
    "Rows",
    "Stencil",
    "Sum",
    "split_fields",
]
