"""Keep the table of a finished run with its settings, versions, device and seeds.

    physcon run stefan
    python benchmarks/evidence.py stefan runs/stefan-quick "physcon run stefan"

writes benchmarks/results/evidence/stefan.json. From these files, `python
docs/evidence_tables.py` makes the tables of README.md, docs/studies.md and
docs/evidence.md, and a test compares them. Run this on the machine of the run: it adds
the name of the processor.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from _record import RESULTS, _processor, write


def collected(folder: Path, command: str) -> dict[str, Any]:
    """The table of a run folder and what it depends on."""

    def content(name: str) -> Any:
        return json.loads((folder / name).read_text())

    about = content("provenance.json")
    del about["commit"]  # of a working branch, which need not exist later
    return {
        "command": command,
        "processor": _processor(),
        "provenance": about,
        "settings": content("settings.json"),
        "results": content("table.json"),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", help="name of the file of results")
    parser.add_argument("folder", type=Path, help="the run folder")
    parser.add_argument("command", help="the command that made it")
    parser.add_argument("--output", type=Path, default=RESULTS / "evidence")
    args = parser.parse_args()
    path = args.output / f"{args.name}.json"
    write(collected(args.folder, args.command), path)
    print(f"written: {path}")


if __name__ == "__main__":
    main()
