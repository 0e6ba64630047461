"""`physcon info`: versions and devices, for bug reports; also kept beside every run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon._version import __version__

HELP = "versions and devices"


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """No settings."""
    return ArgumentParser(description="Versions and devices, for bug reports.")


def main(options: Namespace) -> None:
    """Print them as JSON."""
    print(json.dumps(provenance() | {"python": sys.version.split()[0]}, indent=2))


def provenance() -> dict[str, Any]:
    """What ran: versions, commit, device, start."""
    import jax

    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"],
        capture_output=True,
        text=True,
        cwd=Path(__file__).parent,
    )
    return {
        "physcon": __version__,
        "commit": commit.stdout.strip() or None,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "versions": {
            name: version(name)
            for name in ("jax", "jaxlib", "equinox", "optax", "numpy")
        },
    }
