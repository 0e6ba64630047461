"""A part whose package is missing says which extra to install, in one sentence."""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from physcon._extras import needs

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
#: A package as if it were not installed; what is used; the extra that has it.
PARTS = [
    ("matplotlib", "physcon.report", "report"),
    ("PIL", "physcon.report", "report"),
    ("diffrax", "physcon.fv.solve_stiff", "stiff"),
    ("tqdm", "physcon.training", "train"),
    ("flatbuffers", "physcon.load_exported('a.physcon')", "serve"),
    ("flax", "physcon.flax", "flax"),
    ("torch", "physcon.torch", "torch"),
]
TRIED = """
import sys
import physcon
for package, use, extra in {parts}:
    found = sys.modules.get(package)
    sys.modules[package] = None
    try:
        eval(use)
    except ImportError as error:
        expected = "expected the package " + package + ", which is not installed; "
        expected += f"run pip install 'physcon[{{extra}}]'"
        assert str(error) == expected, error
    else:
        raise AssertionError(use)
    del sys.modules[package]
    if found:
        sys.modules[package] = found
"""


def test_each_part_names_its_extra():
    code = TRIED.format(parts=PARTS)
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr


def test_command_line_without_its_packages_ends_with_one_sentence():
    code = (
        "import sys; sys.modules['jsonargparse'] = None; "
        "sys.argv = ['physcon', 'run', 'stefan']; "
        "from physcon.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 1
    assert done.stderr == (
        "physcon run: expected the package jsonargparse, which is not installed; "
        "run pip install 'physcon[cli]'\n"
    )


def test_extras_are_declared():
    assert {extra for _, _, extra in PARTS} | {"data", "cli", "distributed", "all"} <= (
        EXTRAS.keys()
    )


def test_other_errors_pass_as_they_are():
    with pytest.raises(ModuleNotFoundError, match=r"physcon\.nothing"), needs("data"):
        import physcon.nothing  # noqa: F401  # pyright: ignore
    with pytest.raises(KeyError), needs("data"):
        raise KeyError("x")


#: Packages by the names that they are imported as, where these differ.
IMPORTED_AS = {"pyyaml": "yaml", "pillow": "PIL", "orbax-checkpoint": "orbax"}
#: Used if they are there, and not needed for anything.
WELCOME = {"pymetis", "pyamg"}


def imported_as(requirement: str) -> str:
    """The name under which a requirement of pyproject.toml is imported."""
    name = re.split(r"[\[<>=!~; ]", requirement)[0]
    return IMPORTED_AS.get(name, name.replace("-", "_"))


def test_every_imported_package_is_declared_and_every_named_extra_exists():
    declared = {imported_as(r) for r in PROJECT["dependencies"]} | WELCOME
    for extra in EXTRAS.keys() - {"test", "docs", "dev", "bench"}:
        declared |= {imported_as(r) for r in EXTRAS[extra]}
    imported, named = {}, {}
    for file in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Import):
                for alias in node.names:
                    imported[alias.name.partition(".")[0]] = file.name
            elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
                imported[node.module.partition(".")[0]] = file.name
            elif isinstance(node, ast.Call) and ast.unparse(node.func) == "needs":
                named[ast.literal_eval(node.args[0])] = file.name
    foreign = imported.keys() - set(sys.stdlib_module_names) - {"physcon"}
    assert not {name: imported[name] for name in foreign - declared}
    assert not {name: named[name] for name in named.keys() - EXTRAS.keys()}
