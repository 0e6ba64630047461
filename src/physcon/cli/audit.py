"""`physcon audit`: how far a dataset is from obeying laws."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physcon.cli.parsers import SuggestingParser

HELP = "say which laws a dataset violates, and by how much"
_DESCRIPTION = """Report which laws a NetCDF file or Zarr store violates.

The file stays as it is.

LAWS is a YAML file, or one law as text. Examples:

  physcon audit winds.nc "mean: {of: uwnd, equals: 0}"
  physcon audit run.zarr laws.yaml --json
  physcon audit run.zarr laws.yaml --report audit.html
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """Return the parser of the command."""
    audit = SuggestingParser(description=_DESCRIPTION)
    audit.add_argument("data", type=Path, help="NetCDF file or Zarr store")
    audit.add_argument("laws", type=str, help="YAML file of laws, or one law as text")
    add_options(audit)
    audit.add_argument("--json", action="store_true", help="print the report as JSON")
    add_report(audit)
    return audit


def add_options(command: ArgumentParser) -> None:
    """Add the options that say where the fields of a dataset live."""
    command.add_argument(
        "--coordinates",
        type=str,
        default=None,
        help="what coordinates without bounds hold: centres, nodes or faces",
    )
    command.add_argument(
        "--radius", type=float, default=None, help="radius of the sphere in metres"
    )


def check_options(options: Namespace) -> None:
    """Refuse what an option can't be, by the name of the option."""
    from physcon._require import require

    known = ("centres", "nodes", "faces")
    require(
        options.coordinates in (None, *known),
        "--coordinates centres, nodes or faces",
        repr(options.coordinates),
        "say what the coordinates hold",
    )
    require(
        options.radius is None or options.radius > 0,
        "--radius in metres",
        options.radius,
        "pass a positive number",
    )


def add_report(command: ArgumentParser) -> None:
    """Add the options of a report and of the progress bar."""
    command.add_argument(
        "--report",
        type=Path,
        default=None,
        help="write the report: a page with maps for a browser (.html), .json or .txt",
    )
    command.add_argument("--quiet", action="store_true", help="show no progress bar")


def main(options: Namespace) -> None:
    """Print the report."""
    from physcon.datasets import laws
    from physcon.datasets._files import audit_file
    from physcon.datasets._watch import Watch

    check_options(options)
    watch = Watch(options.report, progress=not options.quiet)
    found = laws(options.laws, coordinates=options.coordinates, radius=options.radius)
    report = audit_file(options.data, found, watch)
    print(report.to_json() if options.json else report)
