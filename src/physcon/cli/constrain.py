"""`physcon constrain`: make the predictions in a file obey laws."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon._page import check_path
from physcon.cli.audit import add_options, add_report, check_options
from physcon.cli.parsers import SuggestingParser
from physcon.cli.settings import from_options

HELP = "make predictions conservative"
_DESCRIPTION = """Make the predictions in a file obey laws, and write the same layout.

With LAWS, a YAML file or one law as text, the file is a NetCDF or HDF5 file or a Zarr
store with named dimensions, of any size:

  physcon constrain sst.nc "mean: {of: sst, equals: 15}" --spread uniform -o out.nc
  physcon constrain run.zarr laws.yaml -o fixed.zarr --report fixed.html

A Zarr store that a killed command left unfinished is completed by the same command with
--resume.

The short form is for one integral, and for .npz and .h5 files as well. It reads mean
and std (or variance, or an ensemble of samples) with coordinates:

  physcon constrain predictions.npz -o conserved.npz --integral mass --lower 0

Nothing but the named arrays is changed.
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """Return the parser of the command: files, laws, and the names of arrays."""
    from physcon._predictions import Law, Names

    constrain = SuggestingParser(description=_DESCRIPTION)
    constrain.add_argument("predictions", type=Path, help="the model's predictions")
    constrain.add_argument(
        "laws", type=str, nargs="?", help="YAML file of laws, or one law as text"
    )
    constrain.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write"
    )
    constrain.add_argument(
        "--spread",
        type=str,
        default=None,
        help="with LAWS, how uncertain variables are: a number, a percentage, the name "
        "of a variable, or a metric: uniform, proportional, thickness or residual",
    )
    add_options(constrain)
    add_report(constrain)
    constrain.add_argument(
        "--resume",
        action="store_true",
        help="continue a Zarr store that a killed command left unfinished",
    )
    constrain.add_argument(
        "--integral",
        type=str,
        default=None,
        help="the conserved total: a number, or the name of an array of the file with "
        "one value per time (or per other batch entry)",
    )
    constrain.add_class_arguments(Law, skip={"integral"})
    constrain.add_class_arguments(Names, "names")
    constrain.add_argument(
        "--force", action="store_true", help="replace an existing output"
    )
    return constrain


def main(options: Namespace) -> None:
    """Write the output file and print the report."""
    from physcon._predictions import Law, Names
    from physcon._require import require

    both = (options.laws is not None) + (options.integral is not None)
    require(
        both == 1,
        "either LAWS or --integral",
        "both" if both else "neither",
        "see physcon constrain --help",
    )
    options.integral = options.integral or ""
    law, names = from_options(Law, options), from_options(Names, options.names)
    if options.laws is not None:
        given = [*_changed(law, Law("")), *_changed(names, Names(), "names.")]
        require(
            not given,
            "LAWS, or options of the short form",
            f"LAWS and {', '.join(given)}",
            "put it into LAWS (between: {of: NAME, lower: 0}; std: VALUE; seed: 1)",
        )
        _constrain_dataset(options)
        return
    of_laws = ("spread", "resume", "coordinates", "radius")
    given = [f"--{name}" for name in of_laws if options[name] not in (None, False)]
    require(
        not given,
        f"LAWS for {', '.join(given)}",
        "--integral",
        "write the law as text: 'total: {of: NAME, equals: VALUE}'",
    )
    from physcon.constrain import constrain_file

    if options.report is not None:
        check_path(options.report, (".html", ".json", ".txt"))
    files = (options.predictions, options.output)
    report = constrain_file(*files, law, names, options.force)
    if options.report is not None:
        from physcon.cli.predictions_page import write_report

        write_report(options.report, report, files, names)
    print(report)
    print(f"written: {options.output}")


def _changed(found: Any, default: Any, prefix: str = "") -> list[str]:
    """Return the options whose values are not the default ones."""
    return [
        f"--{prefix}{each.name}"
        for each in dataclasses.fields(default)
        if getattr(found, each.name) != getattr(default, each.name)
    ]


def _constrain_dataset(options: Namespace) -> None:
    from physcon.datasets import laws
    from physcon.datasets._files import constrain_dataset_file
    from physcon.datasets._watch import Watch

    check_options(options)
    watch = Watch(options.report, progress=not options.quiet)

    found = laws(
        options.laws,
        spread=options.spread,
        coordinates=options.coordinates,
        radius=options.radius,
    )
    report = constrain_dataset_file(
        options.predictions,
        options.output,
        found,
        force=options.force,
        resume=options.resume,
        watch=watch,
    )
    print(report)
    print(f"written: {options.output}")
