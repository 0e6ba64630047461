"""Small runs of every command that writes files, for `tests/faults.py`."""

import math
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import xarray as xr

LIMIT = 300.0  # seconds for a run
ENVIRONMENT = os.environ | {"JAX_PLATFORMS": "cpu"}
#: `{out}` is what the run writes, a file or a folder, `{page}` its page, `{place}` the
#: folder of the inputs.
COMMANDS = {
    "solve": [
        "solve", "fv_sod", "--grid.cells=[32]", "--snapshots=60", "--end=0.1",
        "--scheme.reconstruction=constant", "--output={out}", "--report={page}",
    ],
    "run": [
        "run", "boon_stokes", "--nodes=9", "--train=8", "--test=2", "--modes=2",
        "--width=4", "--depth=1", "--batch=4", "--steps=300", "--save_every=10",
        '--methods=["lift"]', "--seeds=[0]", "--output={out}", "--report={page}",
    ],
    "file": [
        "constrain", "{place}/sst.nc", "mean: {{of: sst, equals: 15}}", "--spread=1",
        "--output={out}.nc", "--report={page}",
    ],
    "store": [
        "constrain", "{place}/sst.zarr", "mean: {{of: sst, equals: 15}}", "--spread=1",
        "--output={out}.zarr", "--report={page}",
    ],
    "predict": ["predict", "{place}/half.physcon", "{place}/sst.npz", "-o={out}.npz"],
}  # fmt: skip
_SUFFIX = {"file": ".nc", "store": ".zarr", "predict": ".npz"}


def make_inputs(place: Path) -> None:
    """A file, a store of twelve chunks, arrays, and an exported predictor."""
    import physcon as pc

    rng = np.random.default_rng(0)
    values = rng.normal(10, 2, (12, 30, 60)).astype(np.float32)
    axes = {
        "time": np.arange(12),
        "lat": np.linspace(-87, 87, 30),
        "lon": np.arange(3.0, 360, 6),
    }
    data = xr.Dataset({"sst": ((*axes,), values)}, axes)
    data.lat.attrs["units"] = "degrees_north"
    data.lon.attrs["units"] = "degrees_east"
    data.to_netcdf(place / "sst.nc", engine="h5netcdf")
    chunks = {"sst": {"chunks": (1, 30, 60)}}
    data.to_zarr(place / "sst.zarr", encoding=chunks, consolidated=False)
    np.savez(place / "sst.npz", u=values)
    pc.export(lambda u: {"half": u / 2}, place / "half.physcon", {"u": values[0]})


class Run:
    """One command with what it writes, and a log of what it prints."""

    def __init__(self, name: str, place: Path, label: str):
        self.name = name
        self.place = place
        self.out = place / f"{name}-{label}"
        self.made = self.out.with_name(self.out.name + _SUFFIX.get(name, ""))
        self.page = self.out.with_suffix(".html")
        self.log = self.out.with_suffix(".log")

    def command(self, *more: str) -> list[str]:
        words = {"out": self.out, "page": self.page, "place": self.place}
        given = [word.format(**words) for word in COMMANDS[self.name]]
        quiet = [] if self.name == "predict" else ["--quiet"]
        return [sys.executable, "-m", "physcon", *given, *quiet, *more]

    def start(self, *more: str, file_size: int | None = None) -> subprocess.Popen:
        """Start it; `file_size` in blocks of 1024 bytes stands for a full disk."""
        command = self.command(*more)
        if file_size is not None:
            limited = f'ulimit -f {file_size}; exec "$@"'
            command = ["bash", "-c", limited, "bash", *command]
        with self.log.open("w") as log:
            return subprocess.Popen(command, stdout=log, stderr=log, env=ENVIRONMENT)

    def finish(self, *more: str) -> int:
        return self.start(*more).wait(timeout=LIMIT)

    def unread(self) -> int:
        """Run it with standard output and error that nobody reads."""
        self.log.touch()
        reading, writing = os.pipe()
        os.close(reading)
        command = self.command()
        try:
            process = subprocess.Popen(
                command, stdout=writing, stderr=writing, env=ENVIRONMENT
            )
        finally:
            os.close(writing)
        return process.wait(timeout=LIMIT)

    def undisturbed(self) -> tuple[int, object]:
        """The number of changes of its files, and its result."""
        process = self.start()
        changes = self.changes(process, math.inf)
        if process.wait():
            raise RuntimeError(self.log.read_text())
        return changes, self.result()

    def again(self) -> int:
        """Start the command again, as its user would."""
        unfinished = self.made.with_name(f"{self.made.name}.partial")
        if self.name in ("solve", "run") or unfinished.exists():
            return self.finish("--resume")
        return self.finish("--force")

    def files(self) -> frozenset[str]:
        """The names of all files that the run has made by now."""
        found = set()
        for path in self.place.glob(f"{self.out.name}*"):
            found.add(path.name)
            for folder, _, names in os.walk(path):
                found.update(os.path.join(folder, name) for name in names)
        return frozenset(found - {self.log.name})

    def changes(self, process: subprocess.Popen, number: float) -> int:
        """Wait until files have come or gone that often, or the process has ended."""
        deadline = time.monotonic() + LIMIT
        before = self.files()
        count = 0
        while count < number and process.poll() is None:
            if time.monotonic() > deadline:
                process.kill()
                raise TimeoutError(f"{self.name} did not end within {LIMIT:g} s")
            now = self.files()
            count += now != before
            before = now
            time.sleep(0.0005)
        return count

    def progress(self) -> list[Path]:
        """The files that hold what has been computed so far."""
        return sorted(
            [*self.out.glob("snapshots/*.nc"), *self.out.glob("*.checkpoint")]
        )

    def result(self) -> object:
        if self.name == "run":
            return (self.out / "table.json").read_bytes()
        if self.name == "predict":
            return np.load(self.made)["half"].tobytes()
        if self.name == "store":
            data = xr.open_zarr(self.made, consolidated=False).load()
        else:
            path = self.made if self.name == "file" else self.out / "solution.nc"
            data = xr.load_dataset(path, engine="h5netcdf")
        return {str(name): v.values.tobytes() for name, v in data.variables.items()}

    def half_written(self) -> str:
        """What is wrong with the file or store of the final name, if there is one."""
        if self.name in ("solve", "run") or not self.made.exists():
            return ""
        try:
            self.result()
        except (OSError, ValueError, KeyError) as error:
            return f"{self.made.name} can't be read: {error}"
        return ""

    def remove(self) -> None:
        for path in self.place.glob(f"{self.out.name}*"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
