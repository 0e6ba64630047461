"""physcon: make the predictions of any model obey the physics.

Pure functions on arrays, for use inside jit, vmap and grad: conservation laws, boundary
conditions and bounds as linear-Gaussian conditioning. The names below load with `jax`
and `equinox` only; submodules that need more (diffrax, optax, matplotlib) load on first
use.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import Any

from physcon._citation import citation as citation
from physcon._version import __version__ as __version__
from physcon.boundary import Boundary as Boundary
from physcon.boundary import Dirichlet as Dirichlet
from physcon.boundary import Flux as Flux
from physcon.boundary import Neumann as Neumann
from physcon.boundary import Outflow as Outflow
from physcon.boundary import Periodic as Periodic
from physcon.boundary import Reflective as Reflective
from physcon.boundary import Robin as Robin
from physcon.conditioning import Bounded as Bounded
from physcon.conditioning import Conditioned as Conditioned
from physcon.conditioning import Gaussian as Gaussian
from physcon.conditioning import LinearConstraint as LinearConstraint
from physcon.conditioning import Monotone as Monotone
from physcon.conditioning import Nonlinear as Nonlinear
from physcon.conditioning import NonlinearConstraint as NonlinearConstraint
from physcon.conditioning import balance as balance
from physcon.conditioning import boundary_values as boundary_values
from physcon.conditioning import bounded as bounded
from physcon.conditioning import condition as condition
from physcon.conditioning import condition_nonlinear as condition_nonlinear
from physcon.conditioning import diffuse as diffuse
from physcon.conditioning import divergence_free as divergence_free
from physcon.conditioning import from_fn as from_fn
from physcon.conditioning import hard_c as hard_c
from physcon.conditioning import integral as integral
from physcon.conditioning import marginal_moments as marginal_moments
from physcon.conditioning import monotone as monotone
from physcon.conditioning import prob_conserv as prob_conserv
from physcon.conditioning import reachable as reachable
from physcon.conditioning import sample_bounded as sample_bounded
from physcon.conditioning import second_difference as second_difference
from physcon.conditioning import sensors as sensors
from physcon.conditioning import stack as stack
from physcon.conditioning import stationary as stationary
from physcon.grid import Grid as Grid
from physcon.linear_map import Diagonal as Diagonal
from physcon.linear_map import LinearMap as LinearMap
from physcon.linear_map import LowRank as LowRank
from physcon.linear_map import Rows as Rows

_LAZY = (
    "fv",
    "inverse",
    "io",
    "metrics",
    "models",
    "operators",
    "parallel",
    "problems",
    "report",
    "serving",
    "studies",
    "training",
)
_OPTIONAL = ("flax", "torch")  # need the package of that name
_LAZY_FUNCTIONS = {"export": "serving", "load_exported": "serving"}


def __getattr__(name: str) -> Any:
    if name in _LAZY + _OPTIONAL:
        return import_module(f"physcon.{name}")
    if name in _LAZY_FUNCTIONS:
        return getattr(import_module(f"physcon.{_LAZY_FUNCTIONS[name]}"), name)
    raise AttributeError(f"module 'physcon' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY, *_LAZY_FUNCTIONS, *filter(find_spec, _OPTIONAL)])
