"""What the export tests of all packages share: fields, laws, and the check itself."""

import jax
import jax.numpy as jnp
import numpy as np

import physcon as pc
from physcon import operators
from physcon.serving import host_callbacks
from physcon.serving._export import PLATFORMS

#: Operations without a form for TPUs in float64.
NOT_IN_FLOAT64 = {"bitcast_convert_type", "fft", "nextafter", "reduce_precision"}
N = 8
GRID = pc.Grid.uniform(0.0, 1.0, N)
NODES = pc.Grid.uniform(0.0, 1.0, N, location="nodes")
ENDS = pc.Boundary((pc.Dirichlet(0.0), pc.Neumann(1.0)))
KEY = jax.random.key(0)
FNO = operators.FNO.init(KEY, 1, 2, (3,), 4, 1, mlp=3, hidden=4, padding=(2,))


def prior(x):
    return pc.Gaussian.diagonal(x, 1 + x**2)


def mass(x):
    return pc.integral(GRID, jnp.sum(x))


def compiled_anew(one, other):
    """The parts of a function that a second call outside of jit compiles again.

    Outside of jit each operation is a program, which is kept by its name and
    settings. One that holds a function (a loop, a branch, a compiled function) is kept
    by the identity of that function.
    """
    found = set()
    for (name, first), (_, second) in zip(held(one), held(other), strict=True):
        if first is not second:
            found.add(name)
    return found


def held(program):
    """(name, program) of the compiled functions, loops and branches of a program."""
    made_by = {x: e for e in program.jaxpr.eqns for x in e.outvars}

    def only_when_traced(equation):
        """A stage of a finite-volume scheme, see physcon.fv._stage."""
        index = equation.invars[0]
        while index in made_by and len(made_by[index].invars) == 1:
            if made_by[index].primitive.name == "optimization_barrier":
                return True
            index = made_by[index].invars[0]
        return False

    for equation in program.jaxpr.eqns:
        kind, params = equation.primitive.name, equation.params
        inner = [x for x in jax.tree.leaves(list(params.values())) if is_program(x)]
        if kind in (
            "custom_jvp_call",
            "custom_jvp_with_rule",
            "custom_vjp_call",
            "float64",
        ):
            for x in inner:  # run operation by operation
                yield from held(x)
        elif kind == "cond" and only_when_traced(equation):
            yield from held(inner[-1])
        else:
            yield from ((params.get("name", kind), x) for x in inner)


def is_program(x):
    return isinstance(x, jax.extend.core.ClosedJaxpr)


def refused_on_tpu(program):
    """Names of float64 operations that TPUs would run, and their compiler refuses.

    It has float64 as pairs of float32, whose bits it doesn't know.
    """
    program = program.jaxpr if is_program(program) else program
    for equation in program.eqns:
        dtypes = [x.aval.dtype for x in equation.invars if hasattr(x.aval, "dtype")]
        wide = np.float64 in dtypes or np.complex128 in dtypes
        if wide and equation.primitive.name in NOT_IN_FLOAT64:
            yield equation.primitive.name
        inner = {k: v for k, v in equation.params.items() if k != "branches_platforms"}
        platforms = equation.params.get("branches_platforms")
        if platforms is not None:
            own = [p is not None and "tpu" in p for p in platforms]
            chosen = own.index(True) if any(own) else platforms.index(None)
            inner = {"own": equation.params["branches"][chosen]}
        for leaf in jax.tree.leaves(inner, is_leaf=_holds_program):
            if _holds_program(leaf):
                yield from refused_on_tpu(leaf)


def _holds_program(x):
    return isinstance(x, jax.extend.core.Jaxpr | jax.extend.core.ClosedJaxpr)


def export(line):
    """Check one line of a table: it exports, and a second call compiles nothing."""

    def arrays(x):
        return jax.tree.leaves(line(x))

    def again(x):  # JAX would remember the trace of the function above
        return arrays(x)

    (batch,) = jax.export.symbolic_shape("b")
    fn, spec = jax.jit(jax.vmap(arrays)), jax.ShapeDtypeStruct((batch, N), np.float32)
    traced = fn.trace(spec).jaxpr
    assert not list(host_callbacks(traced))
    assert not set(refused_on_tpu(traced))
    anew = compiled_anew(traced, jax.jit(jax.vmap(again)).trace(spec).jaxpr)
    assert anew == set()
    exported = jax.export.export(fn, platforms=PLATFORMS)(spec)
    assert exported.platforms == PLATFORMS
    assert len(exported.serialize()) > 0
    assert all(
        x.shape[0] == batch and x.dtype != np.float64 for x in exported.out_avals
    )
