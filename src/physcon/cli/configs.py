"""Settings files by path, or by the name of one that is part of physcon."""

import difflib
from importlib.resources import files
from pathlib import Path

from physcon import _yaml
from physcon._checks import require

#: Larger files are no settings; the parser of YAML takes a second for a megabyte.
LARGEST = 1_000_000


def folder() -> Path:
    """The folder of the settings files: in the package, or in its checkout."""
    installed = Path(str(files("physcon"))) / "configs"
    return installed if installed.is_dir() else Path(__file__).parents[3] / "configs"


def names(command: str) -> list[str]:
    """The names of the settings files of `physcon run` or `physcon solve`."""
    found = sorted(path.stem for path in folder().glob("*.yaml"))
    return [name for name in found if name.startswith("fv_") == (command == "solve")]


def find(word: str, command: str) -> Path:
    """The settings file that a word on the command line means.

    A file of that path comes first. ``stefan``, ``stefan.yaml`` and
    ``configs/stefan.yaml`` mean the file that is part of physcon.

    Raises: ValueError for no such file, with the names of those there are.
    """
    path = Path(word)
    if not path.is_file():
        own = folder() / f"{path.name.removesuffix('.yaml')}.yaml"
        if path.parent not in (Path(), Path("configs")) or not own.is_file():
            raise ValueError(_unknown(word, command))
        path = own
    size = path.stat().st_size
    require(
        size <= LARGEST,
        f"a settings file of at most {LARGEST} bytes",
        f"{path} of {size} bytes",
        "remove what are no settings",
    )
    _yaml.check(_yaml.read(path), str(path))
    return path


def _unknown(word: str, command: str) -> str:
    known = names(command)
    name = Path(word).name.removesuffix(".yaml")
    close = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {close[0]}?" if close else f"names are {', '.join(known)}"
    return f"expected a settings file or the name of one, got {word!r}; {hint}"
