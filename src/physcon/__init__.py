"""physcon: make the predictions of any model obey the physics.

Pure functions on arrays, for use inside jit, vmap and grad: conservation laws, boundary
conditions and bounds as linear-Gaussian conditioning. Importing this module loads `jax`
and `equinox` only. Packages such as `physcon.fv` load on first use, and those that need
an extra (`pip install 'physcon[report]'`) name it if it is missing.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from physcon._citation import citation
from physcon._status import Outcome
from physcon._version import __version__
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
    Bounded,
    Conditioned,
    ConjugateGradient,
    DenseGram,
    Gaussian,
    LinearConstraint,
    Monotone,
    Nonlinear,
    NonlinearConstraint,
    Tridiagonal,
    balance,
    boundary_values,
    bounded,
    condition,
    condition_nonlinear,
    diffuse,
    divergence_free,
    from_fn,
    hard_c,
    integral,
    join_fields,
    marginal_moments,
    monotone,
    prob_conserv,
    reachable,
    sample_bounded,
    second_difference,
    sensors,
    stack,
    stationary,
)
from physcon.grid import Grid
from physcon.linear_map import Diagonal, Kronecker, LinearMap, LowRank, Root, Rows

if TYPE_CHECKING:
    from physcon.serving import export, load_exported

__all__ = [
    "Auto",
    "Boundary",
    "Bounded",
    "Conditioned",
    "ConjugateGradient",
    "DenseGram",
    "Diagonal",
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
    "Robin",
    "Root",
    "Rows",
    "Tridiagonal",
    "__version__",
    "balance",
    "boundary_values",
    "bounded",
    "citation",
    "condition",
    "condition_nonlinear",
    "diffuse",
    "divergence_free",
    "export",
    "from_fn",
    "hard_c",
    "integral",
    "join_fields",
    "load_exported",
    "marginal_moments",
    "monotone",
    "prob_conserv",
    "reachable",
    "sample_bounded",
    "second_difference",
    "sensors",
    "stack",
    "stationary",
]

_LAZY = (
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
_LAZY_FUNCTIONS = {"export": "serving", "load_exported": "serving"}


def __getattr__(name: str) -> Any:
    if name in _LAZY + _OPTIONAL:
        return import_module(f"physcon.{name}")
    if name in _LAZY_FUNCTIONS:
        return getattr(import_module(f"physcon.{_LAZY_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'physcon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LAZY, *filter(find_spec, _OPTIONAL)])
