"""States on both sides of every face of a mesh, in the frame of the face."""

from typing import Any

from physcon._typing import Array, Float, Int
from physcon.fv._stage import stage
from physcon.fv.positivity import Positive
from physcon.fv.protocols import unwrapped
from physcon.fv.reconstruction import MUSCL, Constant
from physcon.fv.unstructured.frame import turned
from physcon.fv.unstructured.reconstruction import (
    Linear,
    by_cell,
    linear,
    linear_of,
    positive,
)
from physcon.fv.unstructured.stencil import Stencil, by_channel, taken


def face_states(
    reconstruct: Any,
    s: Stencil,
    owner: Int[Array, " f"],
    law: Any,
    u: Float[Array, "c n"],
    *,
    primitive: bool = False,
) -> tuple[Float[Array, "c f"], Float[Array, "c f"]]:
    """The states on the owner's and neighbour's side of every face, in its frame.

    Args:
        primitive: whether to return primitive variables, which the law's `rotate` must
            turn as well; for a reconstruction that `has_variables` takes.

    Raises:
        ValueError: a reconstruction for grids only, such as `WENO`.
    """
    inner = unwrapped(reconstruct)
    places = (s.left, s.right)
    converted = False
    if isinstance(inner, Constant):
        table = by_cell(law, u, primitive)
        places = (owner, s.far)
    elif isinstance(inner, Positive):
        table = _flat(positive(inner, s, law, u))
    else:
        method = linear_of(inner)
        table = _flat(linear(method, s, law, u))
        converted = method.variables == "primitive" and not primitive
    rows = [_at(table, place) for place in places]
    left, right = (_in_frame(law, s.frame, x, converted) for x in rows)
    return left, right


def has_variables(reconstruct: Any) -> bool:
    """Whether the primitive variables at the faces are known without conversion."""
    inner = unwrapped(reconstruct)
    if isinstance(inner, Constant):
        return True
    known = isinstance(inner, Linear | MUSCL)
    return known and linear_of(inner).variables == "primitive"


def _flat(sides: Float[Array, "n k c"]) -> Float[Array, "nk c"]:
    return sides.reshape(-1, sides.shape[-1])


@stage
def _at(table: Float[Array, "m c"], place: Int[Array, " f"]) -> Float[Array, "f c"]:
    """The rows of a table at some places, read once for all channels."""
    return taken(table, place)


@stage
def _in_frame(
    law: Any, frame: Array, rows: Float[Array, "f c"], converted: bool
) -> Float[Array, "c f"]:
    """The states of one side of every face, in its frame."""
    w = by_channel(rows)
    return turned(law, law.conservative(w) if converted else w, frame)
