"""Areas of the polygons of a UGRID mesh, for variables that live on its faces."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._laws import Laws
from physcon.sphere import EARTH_RADIUS

with needs("data"):
    import xarray as xr


def polygon_sizes(data: Any, name: str, over: Sequence[str], laws: Laws) -> Any | None:
    """Return the areas of the polygons; None for a variable on no mesh.

    **Source**: UGRID Conventions 1.0, "Data defined on unstructured meshes".
    """
    attrs = {**data[name].encoding, **data[name].attrs}
    topology = str(attrs.get("mesh", ""))
    if attrs.get("location") != "face" or topology not in data.variables:
        return None
    # These import JAX, which other variables do without.
    from physcon.io.ugrid import ugrid_polygons
    from physcon.mesh.build import cell_sizes
    from physcon.mesh.spherical import spherical_areas

    found = ugrid_polygons(data, data[topology], "the dataset")
    dims = [d for d in over if data.sizes[d] == len(found.cells)]
    if len(dims) != 1:
        return None
    if found.on_sphere:
        radius = EARTH_RADIUS if laws.radius is None else float(laws.radius)
        area = np.abs(spherical_areas(found.points, found.cells)) * radius**2
    else:
        area = cell_sizes(found.points, found.cells)
    return xr.DataArray(area, dims=dims)
