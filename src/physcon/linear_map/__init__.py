"""Linear maps between arrays: observation operators, and roots of covariances."""

from physcon._arguments import name_wrong_arguments
from physcon.linear_map.basic import ROUNDING, LinearMap, Root, as_root
from physcon.linear_map.blocks import BlockDiagonal, split_fields
from physcon.linear_map.circulant import Circulant
from physcon.linear_map.combine import Compose, Sum
from physcon.linear_map.dense import Dense, LowRank
from physcon.linear_map.diagonal import Diagonal
from physcon.linear_map.disjoint import Disjoint, Pointwise
from physcon.linear_map.groups import Blocks, Groups, Labelled
from physcon.linear_map.kronecker import Kronecker
from physcon.linear_map.rows import Rows
from physcon.linear_map.sparse import Layout, Sparse, Stack
from physcon.linear_map.stencil import Difference, Stencil

__all__ = [
    "ROUNDING",
    "BlockDiagonal",
    "Blocks",
    "Circulant",
    "Compose",
    "Dense",
    "Diagonal",
    "Difference",
    "Disjoint",
    "Groups",
    "Kronecker",
    "Labelled",
    "Layout",
    "LinearMap",
    "LowRank",
    "Pointwise",
    "Root",
    "Rows",
    "Sparse",
    "Stack",
    "Stencil",
    "Sum",
    "as_root",
    "split_fields",
]

name_wrong_arguments(globals())
