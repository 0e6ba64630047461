"""The studies that `physcon run` knows.

The package of each article registers its own studies.
"""

import pkgutil
from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple, TypeVar

from physcon._checks import require

Settings = TypeVar("Settings", bound=type)


class Study(NamedTuple):
    """A study that is found by its name.

    Attributes:
        settings: the dataclass of its settings.
        module: the name of a module with ``run(config, session, **inputs)``, and with
            ``inputs(config, **files)`` if the study reads files.
        presets: the changes that each preset makes to the defaults, by dotted name.
        files: the meaning of every file or folder that the study reads.
    """

    settings: type
    module: str
    presets: dict[str, dict[str, Any]]
    files: dict[str, str]

    def run(self, config: Any, session: Any, **inputs: Any) -> Any:
        """Run the study and return the rows of its table."""
        return import_module(self.module).run(config, session, **inputs)

    def inputs(self, config: Any, **files: Any) -> dict[str, Any]:
        """Read and check the files of the study, before anything is written."""
        if not self.files:
            return {}
        return import_module(self.module).inputs(config, **files)


_STUDIES: dict[str, Study] = {}


def study(
    name: str,
    module: str,
    presets: dict[str, dict[str, Any]] | None = None,
    files: dict[str, str] | None = None,
) -> Callable[[Settings], Settings]:
    """Register the decorated class as the settings of the study `name`."""

    def register(settings: Settings) -> Settings:
        presets_or_one = {"quick": {}} if presets is None else presets
        _STUDIES[name] = Study(settings, module, presets_or_one, files or {})
        return settings

    return register


def studies() -> dict[str, Study]:
    """All studies by name.

    Importing the settings of an article registers its studies.
    """
    package = import_module("physcon.studies")
    for article in pkgutil.iter_modules(package.__path__):
        if article.ispkg:
            import_module(f"physcon.studies.{article.name}.settings")
    return dict(sorted(_STUDIES.items()))


def find(name: str) -> Study:
    """Find the study with this name.

    Raises:
        ValueError: for an unknown name; the message lists the known names.
    """
    known = studies()
    require(
        name in known,
        f"one of the studies {', '.join(known)}",
        name,
        "pass the name of a study",
    )
    return known[name]
