"""Files: predictions (npz, HDF5, NetCDF) and weights of published networks. No
unpickling.
"""

from typing import Any

from physcon.io.predictions import read_arrays as read_arrays
from physcon.io.predictions import read_dimensions as read_dimensions
from physcon.io.predictions import write_arrays as write_arrays


def __getattr__(name: str) -> Any:
    if name == "load_torch_anp":  # loads the models
        from physcon.io.weights import load_torch_anp

        return load_torch_anp
    raise AttributeError(f"module 'physcon.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), "load_torch_anp"])
