"""Boundary rows for operators, which act on nodes that include both ends of an axis."""

from physcon._checks import require
from physcon.boundary import Boundary
from physcon.boundary_rows import Rows, side_rows
from physcon.boundary_stencils import Order
from physcon.grid import Grid


def node_rows(boundary: Boundary, grid: Grid, order: Order = 2) -> Rows:
    """`side_rows`, refused where an operator's output cannot be made to meet them.

    Args:
        boundary: conditions on the first `boundary.ndim` axes of the grid; further axes
            (time) are free.
        grid: nodes that include both ends of every axis with a condition.
        order: of the one-sided differences in Neumann and Robin conditions, 1 to 4; or
            "spectral", which is exact for the output of a spectral convolution without
            padding. That row does not contain the boundary node (its coefficient is
            zero), so only a lift can meet it.

    Raises:
        ValueError: cells instead of nodes, an order out of range, an axis too short for
            its stencils; see also `side_rows`.
    """
    require(
        order in (1, 2, 3, 4, "spectral"),
        "a stencil order from 1 to 4, or 'spectral'",
        repr(order),
        "leave out order for the default, 2",
    )
    require(
        grid.location == "nodes",
        "a grid of nodes that include the boundary",
        grid.location,
        'build the grid by Grid.uniform(..., location="nodes") or Grid.nodes',
    )
    rows = side_rows(boundary, grid, order)
    # No stencil may reach the node on the other side, which has its own condition.
    for n, axis_rows in zip(grid.shape, rows, strict=False):
        lengths = [row.weights.shape[0] for row in axis_rows if row.is_local]
        longest = max(lengths, default=1)
        require(
            n > longest,
            f"more than {longest} nodes on an axis for differences of order {order}",
            n,
            "refine the grid or lower the order",
        )
    return rows
