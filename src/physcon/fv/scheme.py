"""The three choices of a finite-volume method: reconstruction, Riemann solver, step."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax

from physcon._arguments import inner
from physcon._checks import require, require_choice
from physcon._typing import Array
from physcon.fv._stage import Evaluate
from physcon.fv.protocols import Step
from physcon.fv.reconstruction import MUSCL
from physcon.fv.riemann import rusanov
from physcon.fv.stepping import ssp_rk3


def _leafless(fn: Any) -> Any:
    """A plain function as a pytree without leaves, so that jit accepts a `Scheme`."""
    made = callable(fn) and not isinstance(fn, type)
    require(
        made, "functions in a Scheme", repr(fn), "e.g. Scheme(MUSCL(), hllc, ssp_rk3)"
    )
    fn = inner(fn)
    is_tree = isinstance(fn, eqx.Module | jax.tree_util.Partial)
    return fn if is_tree else jax.tree_util.Partial(fn)


class Scheme(eqx.Module):
    """The three choices of a finite-volume method; each may be your own function.

    Attributes:
        reconstruct: ``(u, law, axis, widths) -> (u_left, u_right)``; see
            `physcon.fv.reconstruction`.
        riemann: ``(u_left, u_right, law, axis) -> flux``; see `physcon.fv.riemann`. The
            scheme conserves with any function here, a learned one included.
        step: ``(problem, u, t, dt) -> u``; see `physcon.fv.stepping`.
        evaluate: how tendencies are computed, with the same result. ``"staged"``: whole
            arrays, each stage stored, best on a CPU. ``"fused"``: whole arrays, left to
            the compiler. ``"cells"``: each cell from its own stencil in one kernel,
            best on a GPU; where it does not apply, as ``"fused"``. ``"auto"``: by the
            default backend. Choose it when you compile for another device.
    """

    reconstruct: Callable[..., Any] = eqx.field(converter=_leafless, default=MUSCL())
    riemann: Callable[..., Array] = eqx.field(converter=_leafless, default=rusanov)
    step: Step = eqx.field(converter=_leafless, default=ssp_rk3)
    evaluate: Evaluate = eqx.field(static=True, default="auto")

    def __check_init__(self) -> None:
        require_choice(self.evaluate, Evaluate, "evaluate")


#: MUSCL with rusanov and SSP-RK3: for every law.
DEFAULT = Scheme()
