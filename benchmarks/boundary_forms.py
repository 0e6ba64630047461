"""Run the boundary studies and keep their tables with settings, versions and seeds.

    python benchmarks/boundary_forms.py
    python benchmarks/boundary_forms.py stokes heat --preset paper --steps 1250
    python benchmarks/boundary_forms.py stokes --preset paper --apart --methods lift

runs `physcon run boon_NAME` for each study. It can be stopped at any time: the same
command continues the study that was stopped. With --apart every method is a run of its
own, and the table grows method by method. The run folders lie in runs/boundary_forms,
the tables in benchmarks/results/evidence/boundary/PRESET (STUDY.json, or with --steps
STUDY-STEPS.json), from which `python docs/evidence_tables.py` makes those of
docs/boundary_forms.md.
"""

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from _record import RESULTS, write
from evidence import collected
from physcon.studies.boon.networks import exists
from physcon.studies.boon.settings import PRESETS, BoonConfig

ROOT = Path(__file__).parents[1]
#: All studies but the second one of Burgers on a circle, which is for published sizes.
STUDIES = sorted(
    path.stem.removeprefix("boon_")
    for path in (ROOT / "configs").glob("boon_*.yaml")
    if path.stem != "boon_burgers_centred"
)


def config_of(study: str, preset: str) -> BoonConfig:
    """The settings of a study under a preset."""
    own = yaml.safe_load((ROOT / "configs" / f"boon_{study}.yaml").read_text())
    changes = PRESETS[preset] | own.pop("presets", {}).get(preset, {})
    del own["study"]
    settings = {**own, **changes}
    lists = {k: tuple(v) for k, v in settings.items() if isinstance(v, list)}
    return BoonConfig(**(settings | lists))


def methods_of(study: str, preset: str) -> list[str]:
    """The methods that a preset compares and that exist for the problem."""
    config = config_of(study, preset)
    named = [m for m in config.methods if m != "default"]
    return [method for method in named if exists(method, config)]


def run(study: str, options: list[str], folder: Path) -> None:
    """Train and score, or continue; a finished run is left as it is."""
    if (folder / "table.json").exists():
        return
    command = [sys.executable, "-m", "physcon", "run", f"boon_{study}", *options]
    command += ["--output", str(folder), "--resume", "--quiet"]
    subprocess.run(command, check=True)


def gathered(folders: list[Path], command: str) -> dict[str, Any]:
    """One table of the tables of several methods, with the ratios to overwriting.

    Raises: ValueError, if the runs differ in more than their methods.
    """
    parts = [collected(folder, command) for folder in folders]
    first = parts[0]
    for part, folder in zip(parts, folders, strict=True):
        methods = first["settings"]["methods"]
        if part["settings"] | {"methods": methods} != first["settings"]:
            raise ValueError(
                f"expected runs that differ in their methods only, got {folder} with "
                "other settings; remove the folder to run it again"
            )
    rows = [row for part in parts for row in part["results"]]
    (base,) = [r["relative_l2"] for r in rows if r["method"] == "overwrite"] or [None]
    for row in rows:
        row["against_overwrite"] = None if base is None else row["relative_l2"] / base
    settings = first["settings"] | {"methods": [row["method"] for row in rows]}
    return first | {"settings": settings, "results": rows}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("studies", nargs="*", default=STUDIES, help="names, or the 12")
    parser.add_argument("--preset", default="quick", help="quick or paper")
    parser.add_argument("--steps", type=int, help="gradient steps, if not the preset's")
    parser.add_argument("--apart", action="store_true", help="a run for each method")
    parser.add_argument("--methods", nargs="+", help="with --apart: only these")
    parser.add_argument("--runs", type=Path, default=Path("runs/boundary_forms"))
    parser.add_argument("--output", type=Path, default=RESULTS / "evidence/boundary")
    args = parser.parse_args()
    options = ["--preset", args.preset]
    options += [] if args.steps is None else ["--steps", str(args.steps)]
    for study in args.studies:
        name = study if args.steps is None else f"{study}-{args.steps}"
        home = args.runs / args.preset / name
        command = " ".join(["physcon run", f"boon_{study}", *options])
        path = args.output / args.preset / f"{name}.json"
        methods = methods_of(study, args.preset) if args.apart else []
        methods = [m for m in methods if args.methods is None or m in args.methods]
        folders = [home / method for method in methods] or [home]
        for k, folder in enumerate(folders):
            one = ["--methods", f"[{methods[k]}]"] if methods else []
            run(study, options + one, folder)
            write(gathered(folders[: k + 1], command), path)
            print(f"{study}: {path}", flush=True)


if __name__ == "__main__":
    main()
