"""Snapshots of a divided grid, written by orbax.

Every process writes the blocks of its own devices. A snapshot is a folder that any
number of processes and devices can read. Process 0 adds a file of checksums last. A
folder without this file, or with other checksums, is written again.
"""

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from physcon._extras import needs
from physcon._files import write_json
from physcon._mesh import agreed, is_writer, wait_for_all
from physcon._typing import Array, PyTree
from physcon.studies.solver._assemble import Setup
from physcon.studies.solver.settings import SolveConfig
from physcon.studies.solver.snapshots import snapshot, warn
from physcon.training.checkpoint import identity_hash

with needs("distributed"):
    import orbax.checkpoint as ocp


#: The file of checksums in the folder of a snapshot.
_SEAL = "physcon.json"


class Shards:
    """The snapshots of a run whose grid is divided, in their own folder.

    All processes call every method together, except `dataset`.

    Args:
        config: the settings of the run.
        setup: the problem that is solved.
        folder: the run folder.
        identity: the settings as JSON values; snapshots with other settings are not
            used.
        mesh: the mesh of the devices that divide the grid.
    """

    def __init__(
        self,
        config: SolveConfig,
        setup: Setup,
        folder: Path,
        identity: dict[str, Any],
        mesh: Mesh,
    ):
        self.config = config
        self.setup = setup
        self.folder = (folder / "shards").absolute()
        self._run = identity_hash(identity)
        self._sharding = NamedSharding(mesh, P(None, *mesh.axis_names))
        self._together = _checkpointer()

    def prepare(self) -> None:
        """Create the folder, and remove half-written files of a killed run."""
        if is_writer():
            self.folder.mkdir(exist_ok=True)
            # orbax uses a longer name until the snapshot is complete.
            for left in self.folder.glob("[0-9]*.*"):
                shutil.rmtree(left)
        wait_for_all("the folder of the shards is there")

    def saved(self, times: np.ndarray) -> int:
        """Count the intact snapshots of this run at the first of the `times`.

        The first snapshot that is damaged, or belongs to another run, is named on
        standard error and removed together with the later ones.
        """
        number = 0
        if is_writer():
            number = self._intact(times)
            for path in self.folder.iterdir():
                if path.name.isdigit() and int(path.name) >= number:
                    shutil.rmtree(path)
        return agreed(number)

    def _intact(self, times: np.ndarray) -> int:
        for k, t in enumerate(times.tolist()):
            path = self._path(k)
            if not path.is_dir():
                return k
            expected = {"run": self._run, "t": t, "sha256": _checksums(path)}
            try:
                found = json.loads((path / _SEAL).read_text())
            except (OSError, ValueError):
                found = None
            if found != expected:
                got = "none" if found is None else "others"
                warn(
                    f"expected the checksums of an intact snapshot of this run at "
                    f"t = {float(t):g} in {path}, got {got}; continuing from the "
                    "snapshot before it"
                )
                return k
        return len(times)

    def initial(self) -> Array:
        """The state at the start; every block is created on its own device."""
        return jax.make_array_from_callback(
            self.setup.state.shape,
            self._sharding,
            lambda index: self.setup.averages(index[1:]),  # type: ignore[index]
        )

    def save(self, k: int, u: Array, t: float, steps: int) -> None:
        """Write the k-th snapshot."""
        path = self._path(k)
        state = {"u": u, "t": t, "steps": steps}
        self._together.save(path, args=ocp.args.StandardSave(state))
        if is_writer():
            seal = {"run": self._run, "t": t, "sha256": _checksums(path)}
            write_json(path / _SEAL, seal)

    def load(self, k: int) -> tuple[Array, int]:
        """Load the state and steps of the k-th snapshot, bit by bit as saved.

        The state is placed on the present mesh.
        """
        state = self.setup.state
        u = jax.ShapeDtypeStruct(state.shape, state.dtype, sharding=self._sharding)
        found = self._restored(self._together, k, u)
        return found["u"], int(found["steps"])

    def dataset(self, k: int) -> xr.Dataset:
        """The k-th snapshot as it is written to a file.

        It is whole, in the host memory of this process.
        """
        state = self.setup.state
        own = jax.process_index()
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


def _checksums(folder: Path) -> dict[str, str]:
    """The SHA-256 of every file of a snapshot, except the file of checksums."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != _SEAL
    }


def host() -> jax.Device:
    """The CPU device, whose memory can hold a field that fits on no other device.

    Raises:
        ValueError: if JAX was configured without it.
    """
    try:
        return jax.local_devices(backend="cpu")[0]
    except RuntimeError as error:
        platforms = os.environ.get("JAX_PLATFORMS")
        raise ValueError(
            "expected the host among JAX's platforms, "
            f"got JAX_PLATFORMS={platforms}; append ,cpu"
        ) from error


def _checkpointer(
    who: ocp.options.MultiprocessingOptions | None = None,
) -> ocp.Checkpointer:
    """A checkpointer of arrays, for all processes or some of them."""
    who = who or ocp.options.MultiprocessingOptions()
    handler = ocp.StandardCheckpointHandler(multiprocessing_options=who)
    return ocp.Checkpointer(handler, multiprocessing_options=who)
