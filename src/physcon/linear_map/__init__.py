"""Linear maps between arrays: observation operators, and roots of covariances."""

from physcon.linear_map.basic import ROUNDING, Diagonal, LinearMap, Root, Rows, as_root
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
    "Root",
    "Rows",
    "Stencil",
    "Sum",
    "as_root",
    "split_fields",
]
