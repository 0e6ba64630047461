"""Compiled programs that are kept for the next command, in the user's cache folder.

JAX's own persistent compilation cache does the work: it locks its folder, so that two
commands can write at once, and removes what was used longest ago.
"""

import os
import sys
import warnings
from pathlib import Path

from jsonargparse import ArgumentParser

#: Largest size of the folder in bytes.
_SIZE = 256 * 2**20
#: What switches the cache off, on the command line and in the environment.
_OFF = "off"
_VARIABLE = "PHYSCON_COMPILE_CACHE"


def add_option(parser: ArgumentParser) -> None:
    """Add ``--compile_cache`` to a command that compiles."""
    parser.add_argument(
        "--compile_cache",
        type=str,
        default=None,
        metavar="FOLDER",
        help="folder that keeps compiled programs for the next command, or 'off'; by "
        f"default ${_VARIABLE}, or else physcon's folder in the user's cache",
    )


def keep_programs(chosen: str | None) -> None:
    """Let JAX keep compiled programs, unless the user chose otherwise.

    A folder that can't be written is not used, unless the user named it. A folder in
    ``JAX_COMPILATION_CACHE_DIR`` stays as it is.

    Args:
        chosen: a folder, ``"off"``, or None for the default.
    """
    chosen = chosen or os.environ.get(_VARIABLE)
    if chosen == _OFF or (not chosen and "JAX_COMPILATION_CACHE_DIR" in os.environ):
        return
    folder = _default() if chosen is None else Path(chosen)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        if chosen is None:
            return
        raise
    if chosen is None and not os.access(folder, os.W_OK):
        return
    if "jax" in sys.modules:
        from physcon.serving import compile_cache

        compile_cache(folder, max_size=_SIZE)
    else:  # commands that compile nothing do without JAX
        os.environ |= {
            "JAX_COMPILATION_CACHE_DIR": os.fspath(folder),
            "JAX_COMPILATION_CACHE_MAX_SIZE": str(_SIZE),
            "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
            "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
        }
    # A program that can't be kept or read again, on a full disk, is compiled anew.
    unused = "Error (reading|writing) persistent compilation cache"
    warnings.filterwarnings("ignore", message=unused)


def _default() -> Path:
    from platformdirs import user_cache_path

    return user_cache_path("physcon") / "compiled"
