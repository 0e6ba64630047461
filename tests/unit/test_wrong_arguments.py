"""Wrong arguments are named, for every public function by one mechanism."""

import inspect
import pickle
from importlib import import_module

import jax
import jax.numpy as jnp
import pytest

import physcon as pc
from physcon import fv, linear_map, metrics, operators
from physcon.fv import riemann, stepping

PARTS = (
    "assimilation conditioning fv inverse linear_map metrics models operators serving"
)
GRID = pc.Grid.uniform(0.0, 1.0, 4)
NODES = pc.Grid.uniform(0.0, 1.0, 4, location="nodes")
ENDS = pc.Boundary((pc.Dirichlet(0.0), pc.Neumann(0.0)))
U = jnp.ones(4)
PRIOR = pc.Gaussian.diagonal(U, U)
LAW = pc.integral(GRID, 0.5)
STATE = jnp.ones((1, 4))
FNO = operators.FNO.init(jax.random.key(0), 1, 1, (2,), 2, 1, hidden=2)
PROBLEM = fv.Problem(fv.Burgers(), GRID, ENDS)


pytestmark = pytest.mark.usefixtures("as_users_have_it")


WRONG = {
    "swapped": (lambda: pc.condition(LAW, PRIOR), "prior: a Gaussian, got a LinearC"),
    "a path": (lambda: pc.export(abs, 3, {"u": U}), "path: text or .*, got an int"),
    "a grid": (lambda: metrics.shock_position(U, GRID), "u: an array, got a Grid"),
    "text": (lambda: operators.spectral_conv(STATE, "u"), "u: an array, got 'u'"),
    "a number": (lambda: fv.ssp_rk3(3, STATE, 0.0, 0.1), "problem: a function, got an"),
    "an array": (
        lambda: fv.implicit_euler(U, PROBLEM, 0.0, 0.1),
        "problem: .*, got an array",
    ),
    "a law": (lambda: fv.hll(U, U, 0, fv.Burgers()), "law: a Law, got an int"),
    "two lengths": (
        lambda: fv.roe(jnp.ones((3, 4)), jnp.ones((4, 3)), fv.Euler(), 0),
        r"u_right of shape \(c, \*s\), got \(4, 3\)",
    ),
    "a part": (lambda: pc.Kronecker(3, 4), "left: a Root, got an int"),
    "parts": (lambda: linear_map.BlockDiagonal(3, 4), "parts: a Root, got an int"),
    "a field": (lambda: pc.Diagonal("std"), "diagonal: an array, got 'std'"),
    "a side": (lambda: fv.Problem(fv.Burgers(), GRID, 3), "boundary: a Boundary, got"),
    "a choice": (lambda: operators.BoundaryFNO(FNO, "lft"), "form: one of 'lift'"),
    "none": (
        lambda: operators.lift(STATE, None, NODES),
        "boundary: a Boundary, got N",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_the_first_wrong_argument_is_named(case):
    call, message = WRONG[case]
    with pytest.raises(ValueError, match=f"^expected {message}.*; .*") as found:
        call()
    assert found.value.__cause__ is None
    assert found.value.__suppress_context__ or found.value.__context__ is None


def test_a_misspelt_keyword_gets_a_suggestion():
    with pytest.raises(TypeError, match=r"bounded.* 'lowr'; did you mean 'lower'\?"):
        pc.bounded(PRIOR, LAW, lowr=0.0)


def test_an_error_of_a_function_that_was_passed_is_kept():
    def broken(u):
        raise AttributeError("mine")

    with pytest.raises(AttributeError, match="mine"):
        pc.from_fn(broken, (4,), 1.0)


def test_every_public_function_names_its_arguments():
    for part in [import_module(f"physcon.{name}") for name in PARTS.split()]:
        for name in part.__all__:
            fn = getattr(part, name)
            if inspect.isfunction(fn):
                misspelt = {f"{next(iter(inspect.signature(fn).parameters))}x": 1}
                with pytest.raises(TypeError, match="did you mean"):
                    fn(**misspelt)


def test_a_scheme_keeps_the_functions_that_the_package_knows():
    """Some of them have faster forms, which are chosen by the function."""
    scheme = fv.Scheme(riemann=fv.hllc, step=fv.ssp_rk2)
    assert scheme.riemann.func is riemann.hllc
    assert scheme.step.func is stepping.ssp_rk2


@pytest.mark.parametrize("part", PARTS.split())
def test_functions_are_pickled_by_their_public_names(part):
    """Process pools and dask send them so."""
    package = import_module(f"physcon.{part}")
    functions = [getattr(package, name) for name in package.__all__]
    for fn in filter(inspect.isfunction, functions):
        assert pickle.loads(pickle.dumps(fn)) is fn
