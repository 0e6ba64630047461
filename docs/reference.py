"""The API reference, generated from what the public modules export.

An exported name without a docstring ends the build.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

from sphinx.ext.autodoc.mock import mock

from physcon.studies.catalogue import studies

#: The public modules by subject, in the order of the index.
SUBJECTS = {
    "Conditioning": (
        "physcon",
        "physcon.conditioning",
        "physcon.linear_map",
        "physcon.kernels",
        "physcon.metrics",
    ),
    "Datasets": ("physcon.datasets",),
    "Where fields live": (
        "physcon.grid",
        "physcon.sphere",
        "physcon.mesh",
        "physcon.boundary",
    ),
    "Finite volumes": ("physcon.fv", "physcon.fv.limiter", "physcon.problems"),
    "Neural operators": ("physcon.operators", "physcon.operators.published"),
    "Models and training": (
        "physcon.models",
        "physcon.models.gp",
        "physcon.models.ensemble",
        "physcon.training",
        "physcon.inverse",
        "physcon.assimilation",
    ),
    "Files and other frameworks": (
        "physcon.io",
        "physcon.serving",
        "physcon.flax",
        "physcon.torch",
    ),
    "Many devices": ("physcon.parallel",),
    "Studies and reports": ("physcon.studies", "physcon.report"),
    "Numerical integration": ("physcon.quadrature",),
}
MODULES = tuple(name for names in SUBJECTS.values() for name in names)


def write_pages(folder: Path) -> None:
    """An index by subject, and a page per module."""
    lines = ["API reference", "=" * 13, ""]
    for subject, names in SUBJECTS.items():
        lines += [subject, "-" * len(subject), ""]
        for name in names:
            module = _imported(name)
            (folder / f"{name}.rst").write_text(_module_page(module))
            lines.append(f":doc:`{name}`\n    {_first_sentence(module)}")
        if subject == "Studies and reports":
            lines.append(":doc:`studies`\n    The settings of every study.")
        lines += ["", ".. toctree::", "   :hidden:", ""]
        lines += [*(f"   {name}" for name in names), ""]
    lines += ["", ".. toctree::", "   :hidden:", "", "   studies", ""]
    (folder / "studies.rst").write_text(_studies_page())
    (folder / "index.rst").write_text("\n".join(lines) + "\n")


def public(module: ModuleType) -> dict[str, Any]:
    """The names that a module exports, without its submodules."""
    exported = getattr(module, "__all__", None)
    if exported is None:
        exported = [
            name
            for name in dir(module)
            if getattr(getattr(module, name), "__module__", None) == module.__name__
        ]
    names = sorted((n for n in exported if not n.startswith("_")), key=str.lower)
    found = {name: getattr(module, name) for name in names}
    return {name: x for name, x in found.items() if not inspect.ismodule(x)}


def undocumented(module: ModuleType) -> list[str]:
    """Exported names, and public methods of exported classes, that lack a docstring."""
    missing = []
    for name, thing in public(module).items():
        if callable(thing) and not inspect.getdoc(thing):
            missing.append(name)
        methods = vars(thing).items() if inspect.isclass(thing) else ()
        for method, function in methods:
            if inspect.isfunction(function) and not method.startswith("_"):
                found = inspect.getdoc(getattr(thing, method))
                missing += [] if found else [f"{name}.{method}"]
    return missing


def _imported(name: str) -> ModuleType:
    """A module; PyTorch need not be installed."""
    try:
        return import_module(name)
    except ImportError:
        with mock(["torch"]):
            return import_module(name)


def _module_page(module: ModuleType) -> str:
    """A table of the names with their first sentence, then the names in full."""
    missing = undocumented(module)
    if missing:
        raise SystemExit(f"{module.__name__}: no docstring for {', '.join(missing)}")
    title = module.__name__
    lines = [title, "=" * len(title), "", f".. automodule:: {title}"]
    lines += ["", f".. currentmodule:: {title}", ""]
    things = public(module)
    lines += [
        f":py:obj:`{name} <{_home(module, name)}>`\n    {_first_sentence(thing)}"
        for name, thing in things.items()
    ]
    told = [name for name in things if _home(module, name) == f"{title}.{name}"]
    for name in told:
        thing = things[name]
        if inspect.isclass(thing):
            lines += ["", f".. autoclass:: {name}", "   :members:"]
        elif inspect.isroutine(thing) or callable(thing):
            lines += ["", f".. autofunction:: {name}"]
        else:
            lines += ["", f".. py:data:: {name}", "", f"   {_first_sentence(thing)}"]
    return "\n".join(lines) + "\n"


def _studies_page() -> str:
    """The settings of every study that `physcon run` knows."""
    title = "Settings of the studies"
    lines = [title, "=" * len(title), ""]
    lines.append("What a settings file, or an option of ``physcon run``, can change.")
    for name, study in studies().items():
        settings = study.settings
        lines += ["", name, "-" * len(name), ""]
        lines.append(_first_sentence(import_module(study.module)))
        lines.append(f"Presets: {', '.join(study.presets)}.")
        lines += ["", f".. autoclass:: {settings.__module__}.{settings.__name__}"]
        lines += ["   :members:", "   :undoc-members:"]
    return "\n".join(lines) + "\n"


def _home(module: ModuleType, name: str) -> str:
    """Where a name is described in full: on the first page that exports the object.

    `physcon` itself only lists what its parts describe.
    """
    thing = getattr(module, name)
    for part in MODULES[1:]:
        if public(_imported(part)).get(name) is thing:
            return f"{part}.{name}"
    return f"{module.__name__}.{name}"


def _first_sentence(thing: Any) -> str:
    """The first sentence of a docstring, on one line and safe in reST."""
    documented = callable(thing) or inspect.ismodule(thing)
    text = (inspect.getdoc(thing) or "") if documented else _described(thing)
    paragraph = " ".join(text.partition("\n\n")[0].split())
    sentence = re.split(r"(?<=[.:]) (?=[A-Z`])", paragraph)[0].rstrip(":")
    return _escaped(sentence)


def _described(constant: Any) -> str:
    """A constant in words: the keys of a mapping, else its value."""
    if isinstance(constant, dict):
        return f"A mapping with the keys {', '.join(map(repr, constant))}."
    return f"The constant {constant!r}."


_QUOTED = re.compile(r"(``.*?``|`[^`]+`)")


def _escaped(line: str) -> str:
    """Escape `*`, `|` and `_` outside of quotes."""
    parts = _QUOTED.split(line)
    parts[::2] = [
        re.sub(r"([*|])|(?<=\w)_(?=\s|$|\W)", r"\\\g<0>", p) for p in parts[::2]
    ]
    return "".join(parts)


def escape(app, what, name, thing, options, lines: list[str]) -> None:
    """Escape a docstring outside of quotes and doctests."""
    inside_doctest = False
    for i, line in enumerate(lines):
        inside_doctest = line.lstrip().startswith(">>>") or (
            inside_doctest and bool(line.strip())
        )
        if not inside_doctest:
            lines[i] = _escaped(line)
