"""`physcon constrain`: conserve the predictions in a file."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

HELP = "make predictions conservative"
_DESCRIPTION = """Make the predictions of any model conserve an integral, and obey bounds.

Reads mean and std (or variance, or an ensemble of samples) with coordinates from an .npz, .h5 or
.nc file, conditions every time on the law, and writes the same layout. Example:

  physcon constrain predictions.npz -o conserved.npz --integral mass --lower 0
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """Files, the law, and the names of the arrays."""
    from physcon.constrain import Law, Names

    constrain = ArgumentParser(description=_DESCRIPTION)
    constrain.add_argument("predictions", type=Path, help="the model's predictions")
    constrain.add_argument("-o", "--output", type=Path, required=True, help="file to write")
    constrain.add_class_arguments(Law)
    constrain.add_class_arguments(Names, "names")
    constrain.add_argument("--force", action="store_true", help="replace an existing output")
    return constrain


def main(options: Namespace) -> None:
    """Write the output file, and print what changed."""
    from physcon.constrain import Law, Names, constrain_file

    fields = {f.name: options[f.name] for f in dataclasses.fields(Law)}
    names = Names(**{f.name: options.names[f.name] for f in dataclasses.fields(Names)})
    print(constrain_file(options.predictions, options.output, Law(**fields), names, options.force))
    print(f"written: {options.output}")
