"""Snapshots of a divided grid: every process writes the blocks of its own devices, by
orbax.

A snapshot is a folder, whole or absent, and can be read by any number of processes and
devices.
"""

import os
import shutil
from pathlib import Path

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon._extras import needs
from physcon._mesh import agreed, is_writer, wait_for_all
from physcon._typing import Array, PyTree
from physcon.studies.solver._assemble import Setup
from physcon.studies.solver.settings import SolveConfig
from physcon.studies.solver.snapshots import snapshot

with needs("distributed"):
    import orbax.checkpoint as ocp


class Shards:
    """The snapshots of a run whose grid is divided, in a folder of their own.

    All processes call every method together, but for `dataset`.
    """

    def __init__(self, config: SolveConfig, setup: Setup, folder: Path, mesh: Mesh):
        self.config, self.setup, self.folder = (
            config,
            setup,
            (folder / "shards").absolute(),
        )
        self._sharding = NamedSharding(mesh, P(None, *mesh.axis_names))
        self._together = _checkpointer()

    def prepare(self) -> None:
        """Make the folder; clear what a killed run left half-written."""
        if is_writer():
            self.folder.mkdir(exist_ok=True)
            for left in self.folder.glob(
                "[0-9]*.*"
            ):  # orbax adds to the name until all is there
                shutil.rmtree(left)
        wait_for_all("the folder of the shards is there")

    def saved(self) -> int:
        """How many snapshots there are, one after the other from the initial state."""
        return agreed(sum(path.name.isdigit() for path in self.folder.iterdir()))

    def initial(self) -> Array:
        """The state at the start; every block is made where it stays."""
        return jax.make_array_from_callback(
            self.setup.state.shape,
            self._sharding,
            lambda index: self.setup.averages(index[1:]),  # type: ignore[index]
        )

    def save(self, k: int, u: Array, t: float, steps: int) -> None:
        """Write the k-th snapshot."""
        state = {"u": u, "t": t, "steps": steps}
        self._together.save(self._path(k), args=ocp.args.StandardSave(state))

    def load(self, k: int) -> tuple[Array, int]:
        """State and steps of the k-th snapshot, bit by bit as saved, on the mesh of
        now.
        """
        state = self.setup.state
        u = jax.ShapeDtypeStruct(state.shape, state.dtype, sharding=self._sharding)
        found = self._restored(self._together, k, u)
        return found["u"], int(found["steps"])

    def dataset(self, k: int) -> xr.Dataset:
        """The k-th snapshot as it goes to a file: whole, in the memory of this
        process's host.
        """
        state, own = self.setup.state, jax.process_index()
        alone = ocp.options.MultiprocessingOptions(own, {own}, f"process_{own}")
        found = self._restored(
            _checkpointer(alone), k, np.empty(state.shape, state.dtype)
        )
        with jax.default_device(host()):
            return snapshot(
                self.setup,
                self.config,
                found["u"],
                float(found["t"]),
                int(found["steps"]),
            )

    def _restored(self, by: ocp.Checkpointer, k: int, u: PyTree) -> PyTree:
        like = {"u": u, "t": 0.0, "steps": 0}
        return by.restore(self._path(k), args=ocp.args.StandardRestore(like))

    def _path(self, k: int) -> Path:
        return self.folder / f"{k:05d}"


def host() -> jax.Device:
    """The device that sees the memory of the host, which may hold a field that no other
    does.

    Raises: ValueError where JAX was told to leave it out.
    """
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        platforms = os.environ.get("JAX_PLATFORMS")
        raise ValueError(
            f"expected the host among JAX's platforms, got JAX_PLATFORMS={platforms}; append ,cpu"
        ) from error


def _checkpointer(
    who: ocp.options.MultiprocessingOptions | None = None,
) -> ocp.Checkpointer:
    """Of arrays, for all processes or some of them."""
    who = who or ocp.options.MultiprocessingOptions()
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=who)
    return ocp.Checkpointer(handler, multiprocessing_options=who)
