"""Files of predictions (npz, HDF5, NetCDF) and weights of published networks.

Nothing is unpickled.
"""

from typing import TYPE_CHECKING, Any

from physcon.io.predictions import (
    array_names,
    read_arrays,
    read_dimensions,
    write_arrays,
)

if TYPE_CHECKING:
    from physcon.io.meshes import read_mesh, write_mesh
    from physcon.io.remapping import read_remapping
    from physcon.io.weights import load_torch_anp

__all__ = [
    "array_names",
    "load_torch_anp",
    "read_arrays",
    "read_dimensions",
    "read_mesh",
    "read_remapping",
    "write_arrays",
    "write_mesh",
]


def __getattr__(name: str) -> Any:
    if name == "load_torch_anp":  # loads the models
        from physcon.io.weights import load_torch_anp

        return load_torch_anp
    if name == "read_remapping":
        from physcon.io.remapping import read_remapping

        return read_remapping
    if name in ("read_mesh", "write_mesh"):
        from physcon.io import meshes

        return getattr(meshes, name)
    raise AttributeError(f"module 'physcon.io' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
