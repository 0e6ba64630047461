"""`physcon constrain`: conserve the predictions in a file."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physcon.cli.settings import from_options

HELP = "make predictions conservative"
_DESCRIPTION = """Make the predictions of any model conserve an integral, and obey bounds.

Reads mean and std (or variance, or an ensemble of samples) with coordinates from an
.npz, .h5 or .nc file, conditions every time on the law, and writes the same layout.
Nothing but the named arrays is changed. Example:

  physcon constrain predictions.npz -o conserved.npz --integral mass --lower 0
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """Return the parser of the command: files, the law, and the names of arrays."""
    from physcon.constrain import Law, Names

    constrain = ArgumentParser(description=_DESCRIPTION)
    constrain.add_argument("predictions", type=Path, help="the model's predictions")
    constrain.add_argument(
        "-o", "--output", type=Path, required=True, help="file to write"
    )
    constrain.add_class_arguments(Law)
    constrain.add_class_arguments(Names, "names")
    constrain.add_argument(
        "--force", action="store_true", help="replace an existing output"
    )
    return constrain


def main(options: Namespace) -> None:
    """Write the output file and print the report."""
    from physcon.constrain import Law, Names, constrain_file

    law, names = from_options(Law, options), from_options(Names, options.names)
    print(
        constrain_file(options.predictions, options.output, law, names, options.force)
    )
    print(f"written: {options.output}")
