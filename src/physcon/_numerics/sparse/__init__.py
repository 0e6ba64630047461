"""Sparse symmetric systems: ordering and analysis on the host, numbers in JAX."""

from physcon._numerics.sparse.analysis import Pattern as Pattern
from physcon._numerics.sparse.analysis import analyse as analyse
from physcon._numerics.sparse.factor import Factored as Factored
from physcon._numerics.sparse.factor import factorise as factorise
from physcon._numerics.sparse.factor import solve as solve
from physcon._numerics.sparse.inverse import log_det as log_det
from physcon._numerics.sparse.inverse import selected_inverse as selected_inverse
