"""One run of a study: its folder, its settings, and the devices that share the work."""

import dataclasses
import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from jax.sharding import Mesh

from physcon._mesh import is_writer


@dataclass(frozen=True)
class Session:
    """The folder of a study, and the way it is run.

    Attributes:
        folder: folder for checkpoints, tables and figures; with None nothing is
            written.
        identity: the resolved settings as JSON values. A checkpoint with other settings
            is refused.
        resume: whether to continue from the checkpoints in the folder.
        progress: whether to show progress bars and messages.
        mesh: a mesh with one axis, whose devices share the work; process 0 writes the
            files.
    """

    folder: Path | None = None
    identity: dict[str, Any] = field(default_factory=dict)
    resume: bool = False
    progress: bool = True
    mesh: Mesh | None = None

    def of(self, config: Any) -> "Session":
        """Return this session, with `config` as its identity if it has none."""
        return self if self.identity else replace(self, identity=identity(config))

    @property
    def output(self) -> Path | None:
        """The folder on the process that writes, and None on the others."""
        return self.folder if is_writer() else None

    def checkpoint(self, name: str) -> dict[str, Any]:
        """The arguments of `physcon.training.fit` that belong to this session."""
        path = None if self.folder is None else self.folder / f"{name}.checkpoint"
        return {
            "checkpoint": path,
            "config": {**self.identity, "network": name},
            "resume": self.resume,
            "progress": self.progress,
        }

    def say(self, text: str) -> None:
        """Print a line for the user who watches, unless the session is quiet."""
        if self.progress and is_writer():
            print(text, flush=True)


def identity(config: Any) -> dict[str, Any]:
    """Convert a dataclass of settings to JSON values, with tuples as lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
