"""physcon: make the predictions of any model obey the physics.

Pure functions on arrays, for use inside jit, vmap and grad: conservation laws, boundary
conditions and bounds as linear-Gaussian conditioning. Names and packages load on
first use, so that importing this module takes milliseconds. Parts that need an extra
(`pip install 'physcon[report]'`) name it if it is missing.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from physcon._version import __version__

if TYPE_CHECKING:
    from physcon._citation import citation
    from physcon._status import Outcome
    from physcon.boundary import (
        Boundary,
        Dirichlet,
        Flux,
        Neumann,
        Outflow,
        Periodic,
        Reflective,
        Robin,
    )
    from physcon.conditioning import (
        Auto,
        BlockGram,
        Bordered,
        Bounded,
        ColumnGram,
        Conditioned,
        ConjugateGradient,
        Constrained,
        DenseGram,
        Diagnosis,
        DiagonalGram,
        Gaussian,
        LinearConstraint,
        Monotone,
        Nonlinear,
        NonlinearConstraint,
        Relative,
        SparseCholesky,
        Tridiagonal,
        Woodbury,
        balance,
        block_means,
        boundary_values,
        bounded,
        condition,
        condition_nonlinear,
        condition_relative,
        constrained,
        diagnose,
        diffuse,
        divergence_free,
        from_fn,
        from_matrix,
        hard_c,
        incidence,
        integral,
        join_fields,
        marginal_moments,
        monotone,
        ordered,
        pointwise,
        prob_conserv,
        reachable,
        sample_bounded,
        second_difference,
        sensors,
        simplex,
        stack,
        stationary,
        totals,
    )
    from physcon.grid import Grid
    from physcon.linear_map import Diagonal, Kronecker, LinearMap, LowRank, Root, Rows
    from physcon.serving import export, load_exported

__all__ = [
    "Auto",
    "BlockGram",
    "Bordered",
    "Boundary",
    "Bounded",
    "ColumnGram",
    "Conditioned",
    "ConjugateGradient",
    "Constrained",
    "DenseGram",
    "Diagnosis",
    "Diagonal",
    "DiagonalGram",
    "Dirichlet",
    "Flux",
    "Gaussian",
    "Grid",
    "Kronecker",
    "LinearConstraint",
    "LinearMap",
    "LowRank",
    "Monotone",
    "Neumann",
    "Nonlinear",
    "NonlinearConstraint",
    "Outcome",
    "Outflow",
    "Periodic",
    "Reflective",
    "Relative",
    "Robin",
    "Root",
    "Rows",
    "SparseCholesky",
    "Tridiagonal",
    "Woodbury",
    "__version__",
    "balance",
    "block_means",
    "boundary_values",
    "bounded",
    "citation",
    "condition",
    "condition_nonlinear",
    "condition_relative",
    "constrained",
    "diagnose",
    "diffuse",
    "divergence_free",
    "export",
    "from_fn",
    "from_matrix",
    "hard_c",
    "incidence",
    "integral",
    "join_fields",
    "load_exported",
    "marginal_moments",
    "monotone",
    "ordered",
    "pointwise",
    "prob_conserv",
    "reachable",
    "sample_bounded",
    "second_difference",
    "sensors",
    "simplex",
    "stack",
    "stationary",
    "totals",
]

_LAZY = (
    "assimilation",
    "boundary",
    "conditioning",
    "datasets",
    "fv",
    "grid",
    "inverse",
    "io",
    "kernels",
    "linear_map",
    "mesh",
    "metrics",
    "models",
    "operators",
    "parallel",
    "problems",
    "quadrature",
    "report",
    "serving",
    "sphere",
    "studies",
    "training",
)
#: Parts that need the package of the same name.
_OPTIONAL = ("flax", "torch")
#: Where the names of `__all__` are, in this order; JAX is imported with the first.
_HOMES = (
    "_citation",
    "_status",
    "boundary",
    "grid",
    "linear_map",
    "conditioning",
    "serving",
)


def __getattr__(name: str) -> Any:
    if name in _LAZY + _OPTIONAL:
        return import_module(f"physcon.{name}")
    for home in _HOMES if name in __all__ else ():
        found = getattr(import_module(f"physcon.{home}"), name, None)
        if found is not None:
            globals()[name] = found
            return found
    raise AttributeError(f"module 'physcon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY, *filter(find_spec, _OPTIONAL)])
