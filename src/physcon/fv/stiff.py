"""Adaptive high-order time stepping for stiff diffusion, by diffrax.

A diffusion takes Kvaerno's implicit Runge-Kutta methods; waves with diffusion take
Kennedy and Carpenter's additive ones, with explicit waves and implicit diffusion. The
Newton systems I - γ dt J of the stages couple neighbours only: J is never formed beyond
its three diagonals.
"""

from collections.abc import Sequence
from typing import Any, Literal

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx
import optimistix as optx

from physcon._checks import require
from physcon._extras import needs
from physcon._extremes import largest_of
from physcon._numerics.float64 import cast, floating
from physcon._status import Outcome, choose
from physcon._typing import Array, ArrayLike, Float
from physcon.boundary import Boundary
from physcon.fv._clock import Clock, clock
from physcon.fv._solution import Solution, settled
from physcon.fv._sound import require_sound, require_step_size
from physcon.fv.diffusion.line import line_along
from physcon.fv.diffusion.mixed import Mixed
from physcon.fv.discretisation import require_state
from physcon.fv.ghost import is_periodic
from physcon.fv.problem import Problem
from physcon.fv.protocols import Source
from physcon.fv.scheme import DEFAULT, Scheme
from physcon.fv.splitting import parts
from physcon.fv.sweep import crossing_rate
from physcon.fv.tridiagonal import Bands, bands, solve_bands
from physcon.grid import Grid

with needs("stiff"):
    import diffrax

_IMPLICIT = {3: diffrax.Kvaerno3, 4: diffrax.Kvaerno4, 5: diffrax.Kvaerno5}
_ADDITIVE = {3: diffrax.KenCarp3, 4: diffrax.KenCarp4, 5: diffrax.KenCarp5}


class Neighbours(lx.AbstractLinearSolver[Bands]):
    """Lineax solver for operators on states ``(c, n)`` that couple neighbours only.

    Three applications of the operator give its diagonals.
    """

    def init(
        self, operator: lx.AbstractLinearOperator, options: dict[str, Any]
    ) -> Bands:
        """The diagonals."""
        like = operator.in_structure()
        return bands(operator.mv, jnp.zeros(like.shape, like.dtype), 0)

    def compute(
        self, state: Bands, vector: Float[Array, "c n"], options: dict[str, Any]
    ) -> tuple[Float[Array, "c n"], lx.RESULTS, dict[str, Any]]:
        """One tridiagonal solve per channel."""
        return solve_bands(state, vector, 0), lx.RESULTS.successful, {}

    def transpose(
        self, state: Bands, options: dict[str, Any]
    ) -> tuple[Bands, dict[str, Any]]:
        """Exchange the lower and upper diagonals."""
        lower, middle, upper = state
        return (jnp.roll(upper, 1, -1), middle, jnp.roll(lower, -1, -1)), options

    def conj(
        self, state: Bands, options: dict[str, Any]
    ) -> tuple[Bands, dict[str, Any]]:
        """The same state: it is real."""
        return state, options

    def assume_full_rank(self) -> bool:
        """I - γ dt J is regular."""
        return True


def solve_stiff(
    u: ArrayLike,
    law: Any,
    grid: Grid,
    boundary: Boundary,
    scheme: Scheme = DEFAULT,
    *,
    times: ArrayLike | Sequence[ArrayLike],
    start: ArrayLike = 0.0,
    order: Literal[3, 4, 5] = 5,
    rtol: float = 1e-4,
    atol: float = 1e-6,
    dt: ArrayLike | None = None,
    source: Source | None = None,
    max_steps: int = 10_000,
    throw: bool = True,
) -> Solution:
    """Integrate a diffusion, or waves with diffusion, and save it at `times`.

    Unlike in `solve` the step follows the error in time, not a CFL number; where there
    are waves, that error rejects a step that is too long. Mass is conserved to
    rounding: stages are solved by Newton steps that conserve it, converged or not.

    Forward and reverse derivatives exist, but in reverse the adjoint of each stage is a
    dense solve: `sdirk2` and `Strang` are better there. They are better for export,
    too: diffrax checks `times` by host callbacks even under ``throw=False``.

    Args:
        u, law, grid, boundary, times, start, source, throw: as in `solve`, in one
            dimension. With waves the source is explicit, else implicit; an implicit
            source may couple neighbours at most.
        scheme: reconstruction and Riemann solver of the waves.
        order: of the method.
        rtol: relative error per step.
        atol: absolute error per step, in the units of u.
        dt: a fixed step in place of an adaptive one.
        max_steps: in the whole run.

    Shapes: u ``(c, n)``; the result ``(k, c, n)``.

    Raises:
        ValueError: a law without diffusion, two dimensions, or a periodic axis. (Use
            `sdirk2` or `Strang` in two dimensions, explicit steps on periodic axes.)
        RuntimeError: at run time under `throw`, for a failed solution.

    Source: Kvaerno, BIT 44 (2004) 489; Kennedy and Carpenter, Appl. Numer. Math. 44
    (2003) 139.
    """
    _check_choices(law, grid, boundary, order)
    u = floating(u)
    require_state(u, grid)
    problem = Problem(law, grid, boundary, scheme, source)
    require_sound(problem)
    if dt is not None:
        require_step_size(problem, 1.0, dt)
    run = clock(times, start, u.dtype)
    problem = cast(problem, u.dtype)
    fixed = None if dt is None else jnp.asarray(dt, u.dtype)
    solution = _solve(problem, u, run, order, rtol, atol, fixed, max_steps)
    return settled(solution, (problem, u, run, rtol, atol, fixed), throw)


def _check_choices(law: Any, grid: Grid, boundary: Boundary, order: int) -> None:
    require(
        getattr(law, "diffusion", None) is not None,
        "a Diffusion or Mixed law",
        type(law).__name__,
        "use solve for laws without diffusion",
    )
    require(
        grid.ndim == 1, "one dimension", grid.ndim, "use solve with sdirk2 or Strang"
    )
    require(
        not is_periodic(boundary.sides[0]),
        "no periodic axis",
        "axis 0",
        "use solve with explicit steps",
    )
    require(order in (3, 4, 5), "order 3, 4 or 5", order, "pass one of these orders")


def _newton(
    now: Any, u: Array, tolerances: tuple[Any, Any], dt: Array | None
) -> optx.Newton:
    """Newton's method for the stages, with tolerances that rounding allows."""
    # Newton's unknowns are tendencies, which carry the rounding of u times the rate of
    # diffusion. A fixed step has no error that Newton's would have to undercut.
    eps = float(jnp.finfo(u.dtype).eps)
    size = largest_of(jnp.abs(line_along(u, now.widths(0), now.sides(0), 0).values))
    floor = jax.lax.stop_gradient(8 * eps * largest_of(crossing_rate(now, u)) * size)
    errors: Any = (eps**0.5, floor)
    if dt is None:
        rtol, atol = tolerances
        errors = (rtol, jnp.maximum(atol, floor))
    # Not diffrax's VeryChord: with the additive methods of diffrax 0.7.2 it diverges
    # even for two linear equations, and with a Jacobian that is kept over a step most
    # steps of a front are rejected.
    return optx.Newton(*errors, linear_solver=Neighbours())


@eqx.filter_jit
def _solve(
    problem: Problem,
    u: Array,
    run: Clock,
    order: int,
    rtol: float,
    atol: float,
    dt: Array | None,
    max_steps: int,
) -> Solution:
    def term(problem: Problem) -> diffrax.ODETerm:
        def slope(t: Any, u: Array, args: Any) -> Array:
            return problem(u, run.start + jnp.asarray(t))

        return diffrax.ODETerm(slope)

    root_finder = _newton(problem.at(u, run.start), u, (rtol, atol), dt)
    if isinstance(problem.law, Mixed):
        waves, diffusion = parts(problem)
        terms: Any = diffrax.MultiTerm(term(waves), term(diffusion))
        method = _ADDITIVE[order](root_finder=root_finder)
    else:
        terms, method = term(problem), _IMPLICIT[order](root_finder=root_finder)
    controller: diffrax.AbstractStepSizeController = diffrax.ConstantStepSize()
    since = jnp.cumsum(run.lengths)
    if dt is None:
        adaptive = diffrax.PIDController(rtol, atol)
        controller = diffrax.ClipStepSizeController(adaptive, step_ts=since)
    found = diffrax.diffeqsolve(
        terms,
        method,
        jnp.zeros_like(run.start),
        since[-1],
        dt,
        u,
        saveat=diffrax.SaveAt(ts=since),
        stepsize_controller=controller,
        max_steps=max_steps,
        throw=False,
    )
    assert found.ys is not None
    saved = found.ys
    finite = jnp.isfinite(saved).all(axis=tuple(range(1, saved.ndim)))
    outcome = choose(
        (~run.is_ordered(), Outcome.unordered_times),
        (found.result == diffrax.RESULTS.max_steps_reached, Outcome.max_steps),
        (found.result != diffrax.RESULTS.successful, Outcome.stalled),
        (~finite.all(), Outcome.not_finite),
        (~_is_admissible(problem, u, run), Outcome.inadmissible),
        (~_is_admissible(problem, saved[-1], run), Outcome.inadmissible),
    )
    shown = finite.reshape((-1,) + (1,) * (saved.ndim - 1))
    reached = run.start + largest_of(jnp.where(finite, since, 0))
    steps = jnp.asarray(found.stats["num_steps"], jnp.int32)
    states = jnp.where(shown, saved, jnp.nan)
    return Solution(run.times, states, steps, outcome, reached)


def _is_admissible(problem: Problem, u: Array, run: Clock) -> Array:
    """Whether the state makes sense in every cell."""
    return problem.at(u, run.start).admissible(u, ()).all()
