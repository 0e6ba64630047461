"""The folder of a run: its settings are kept in it, and another run's are refused."""

import json
from pathlib import Path
from typing import Any

from physcon._checks import require
from physcon._files import write_json
from physcon._mesh import is_writer, wait_for_all


def prepare_folder(folder: Path, settings: dict[str, Any], resume: bool) -> None:
    """Create the run folder and keep the settings there; one that holds a run already
    is resumed, if its settings are the same, or refused and left as it is.
    """
    kept = folder / "settings.json"
    occupied = folder.is_dir() and any(folder.iterdir())
    require(
        resume or not occupied,
        "a new run folder",
        f"{folder} holds files",
        "add --resume to go on with that run, or choose another --output",
    )
    if kept.is_file():
        old = json.loads(kept.read_text())
        names = [k for k in {**old, **settings} if old.get(k) != settings.get(k)]
        remedy = "resume with the settings that began it, or choose another --output"
        require(
            not names,
            f"the settings in {kept}",
            f"others for {', '.join(names)}",
            remedy,
        )
    wait_for_all("every process has looked at the folder")
    if is_writer():
        folder.mkdir(parents=True, exist_ok=True)
        write_json(kept, settings)
