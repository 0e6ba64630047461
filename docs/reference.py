"""The API reference: complete by construction, since it lists what the public modules
export.

An exported name without a docstring ends the build.
"""

import inspect
import re
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

MODULES = (
    "physcon",
    "physcon.conditioning",
    "physcon.linear_map",
    "physcon.grid",
    "physcon.boundary",
    "physcon.kernels",
    "physcon.quadrature",
    "physcon.metrics",
    "physcon.fv",
    "physcon.fv.limiter",
    "physcon.inverse",
    "physcon.operators",
    "physcon.problems",
    "physcon.models",
    "physcon.models.gp",
    "physcon.models.ensemble",
    "physcon.parallel",
    "physcon.training",
    "physcon.serving",
    "physcon.flax",
    "physcon.io",
    "physcon.report",
)


def write_pages(folder: Path) -> None:
    """A page per module."""
    for name in MODULES:
        (folder / f"{name}.rst").write_text(_module_page(import_module(name)))


def public(module: ModuleType) -> dict[str, Any]:
    """Functions and classes that a module exports, each once: those of physcon's own."""
    own = "physcon" if hasattr(module, "__path__") else module.__name__
    names = sorted((n for n in dir(module) if not n.startswith("_")), key=str.lower)
    exported = {name: getattr(module, name) for name in names}
    return {
        name: thing
        for name, thing in exported.items()
        if callable(thing) and getattr(thing, "__module__", "").startswith(own)
    }


def undocumented(module: ModuleType) -> list[str]:
    """Exported names, and public methods of exported classes, that lack a docstring."""
    missing = []
    for name, thing in public(module).items():
        if not inspect.getdoc(thing):
            missing.append(name)
        methods = vars(thing).items() if inspect.isclass(thing) else ()
        for method, function in methods:
            if inspect.isfunction(function) and not method.startswith("_"):
                found = inspect.getdoc(getattr(thing, method))
                missing += [] if found else [f"{name}.{method}"]
    return missing


def _module_page(module: ModuleType) -> str:
    missing = undocumented(module)
    if missing:
        raise SystemExit(f"{module.__name__}: no docstring for {', '.join(missing)}")
    title = module.__name__
    lines = [title, "=" * len(title), "", f".. automodule:: {title}"]
    lines += ["", f".. currentmodule:: {title}"]
    # `physcon` re-exports what the pages of its parts describe: it lists, they tell.
    for name, thing in public(module).items():
        if module.__name__ == "physcon" and thing.__module__ != "physcon":
            part = next(
                (p for p in MODULES[1:] if name in public(import_module(p))), None
            )
            lines += [
                "",
                f"- :py:obj:`{name} <{part}.{name}>`" if part else f"- ``{name}``",
            ]
        elif inspect.isclass(thing):
            lines += ["", f".. autoclass:: {name}", "   :members:"]
        else:
            lines += ["", f".. autofunction:: {name}"]
    return "\n".join(lines) + "\n"


_QUOTED = re.compile(r"(``.*?``|`[^`]+`)")


def escape(app, what, name, thing, options, lines: list[str]) -> None:
    """Escape `*`, `|` and `_` outside of quotes and doctests."""
    inside_doctest = False
    for i, line in enumerate(lines):
        inside_doctest = line.lstrip().startswith(">>>") or (
            inside_doctest and bool(line.strip())
        )
        if not inside_doctest:
            parts = _QUOTED.split(line)
            parts[::2] = [
                re.sub(r"([*|])|(?<=\w)_(?=\s|$|\W)", r"\\\g<0>", p) for p in parts[::2]
            ]
            lines[i] = "".join(parts)
