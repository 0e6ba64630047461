"""`physcon info`: versions and devices, for bug reports; kept with every run."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon._version import __version__


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """No settings."""
    return ArgumentParser(description="Versions and devices, for bug reports.")


def main(options: Namespace) -> None:
    """Print them as JSON."""
    print(json.dumps(provenance() | {"python": sys.version.split()[0]}, indent=2))


def provenance() -> dict[str, Any]:
    """Versions, commit, device and start of this run."""
    import jax

    return {
        "physcon": __version__,
        "commit": _commit(),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": jax.devices()[0].device_kind,
        "cores": os.cpu_count(),
        "versions": versions(),
    }


def versions() -> dict[str, str]:
    """The versions of the packages that the numbers depend on."""
    found = {}
    for name in ("jax", "jaxlib", "equinox", "optax", "numpy"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def _commit() -> str | None:
    """The commit of a checkout, None elsewhere."""
    try:
        found = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            capture_output=True,
            text=True,
            cwd=Path(__file__).parent,
        )
    except OSError:  # no git
        return None
    return found.stdout.strip() or None
