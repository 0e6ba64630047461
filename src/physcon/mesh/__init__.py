"""Control volumes of any shape: unstructured meshes, faces and boundary patches."""

from physcon.mesh.build import from_cells as from_cells
from physcon.mesh.checks import Quality as Quality
from physcon.mesh.checks import quality as quality
from physcon.mesh.network import Network as Network
from physcon.mesh.network import network as network
from physcon.mesh.renumber import Renumbered as Renumbered
from physcon.mesh.renumber import renumbered as renumbered
from physcon.mesh.shapes import from_grid as from_grid
from physcon.mesh.shapes import triangles as triangles
from physcon.mesh.spherical import cubed_sphere as cubed_sphere
from physcon.mesh.spherical import from_sphere as from_sphere
from physcon.mesh.topology import Mesh as Mesh

__all__ = [
    "Mesh",
    "Network",
    "Quality",
    "Renumbered",
    "cubed_sphere",
    "from_cells",
    "from_grid",
    "from_sphere",
    "network",
    "quality",
    "renumbered",
    "triangles",
]
