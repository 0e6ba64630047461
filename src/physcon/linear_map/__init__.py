"""Linear maps between arrays: observation operators and covariance roots, one class a
structure.
"""

from physcon.linear_map.basic import ROUNDING as ROUNDING
from physcon.linear_map.basic import Diagonal as Diagonal
from physcon.linear_map.basic import LinearMap as LinearMap
from physcon.linear_map.basic import Rows as Rows
from physcon.linear_map.circulant import Circulant as Circulant
from physcon.linear_map.combine import BlockDiagonal as BlockDiagonal
from physcon.linear_map.combine import Compose as Compose
from physcon.linear_map.combine import Kronecker as Kronecker
from physcon.linear_map.combine import Sum as Sum
from physcon.linear_map.combine import split_fields as split_fields
from physcon.linear_map.dense import Dense as Dense
from physcon.linear_map.dense import LowRank as LowRank
from physcon.linear_map.stencil import Difference as Difference
from physcon.linear_map.stencil import Stencil as Stencil
