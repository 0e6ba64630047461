"""`physcon predict`: run an exported predictor on the arrays of a file."""

from collections.abc import Sequence
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from physcon.cli.parsers import SuggestingParser

HELP = "run an exported predictor"
_DESCRIPTION = """Run a predictor that physcon.export wrote.

Inputs come from an .npz, .h5 or .nc file and are found by name; other arrays of the
file are ignored. Outputs are written by name. The code that trained the predictor is
not needed. Without an input file, the command prints what the predictor takes. Example:

  physcon predict heat.physcon initial.npz -o predicted.npz

A predictor is a program that runs with your rights: use only files that you trust, or
compare the digest that their author gave you by --sha256.
"""


def parser(arguments: Sequence[str]) -> ArgumentParser:
    """Files, and what to do with dtypes."""
    predict = SuggestingParser(description=_DESCRIPTION)
    predict.add_argument("artifact", type=Path, help="file of physcon.export")
    predict.add_argument(
        "input", type=Path, nargs="?", default=None, help="file of input arrays"
    )
    predict.add_argument(
        "-o", "--output", type=Path, default=None, help="file to write"
    )
    predict.add_argument(
        "--cast", action="store_true", help="convert inputs to the right dtype"
    )
    predict.add_argument(
        "--sha256",
        type=str,
        default=None,
        metavar="DIGEST",
        help="refuse the artifact unless its SHA-256 digest is this",
    )
    predict.add_argument(
        "--force", action="store_true", help="replace an existing output"
    )
    return predict


def main(options: Namespace) -> None:
    """Print what the predictor takes, or run it on a file and write the results."""
    import jax
    import numpy as np

    from physcon._checks import require
    from physcon._files import check_output
    from physcon.io import read_arrays, write_arrays
    from physcon.serving import load_exported

    artifact = load_exported(options.artifact, sha256=options.sha256)
    if options.input is None:
        require(
            options.output is None,
            "an input file",
            "an output file only",
            "pass both, or neither to see what the predictor takes",
        )
        print(artifact.describe())
        return
    require(
        options.output is not None, "an output file", "none", "add the option -o OUTPUT"
    )
    check_output(options.output, options.input, options.artifact, force=options.force)
    arrays = read_arrays(options.input)
    wanted = artifact.metadata["inputs"]
    missing = [name for name in wanted if name not in arrays]
    require(
        not missing,
        f"arrays {', '.join(wanted)} in {options.input.name}",
        f"{', '.join(arrays) or 'none'}",
        f"add {', '.join(missing)} to the file; the command "
        f"`physcon predict {options.artifact}` prints what the predictor takes",
    )
    inputs = {name: arrays[name] for name in wanted}
    if options.cast:
        inputs = {name: x.astype(wanted[name]["dtype"]) for name, x in inputs.items()}
    outputs = {name: np.asarray(x) for name, x in artifact(**inputs).items()}
    write_arrays(options.output, outputs, force=options.force)
    for name, x in outputs.items():
        wrong = int(np.sum(~np.isfinite(x)))
        if wrong:
            numbers = f"{wrong} of {x.size} numbers"
            print(f"{name}: {numbers} are NaN or infinite: check the inputs")
    print(f"written by {jax.devices()[0].device_kind}: {options.output}")
