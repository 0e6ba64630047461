"""Settings of Sphinx: `python -m sphinx -W docs build/docs`.

Every example and every code cell is executed.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import architecture
import fv_accuracy_table
import performance
import rows_table

import history
import reference
from physcon import __version__

project = "physcon"
author = "The physcon developers"
release = __version__
extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.mathjax",
]
html_theme = "furo"
html_title = f"physcon {release}"
exclude_patterns = ["*.py", "generated/rows.md", "generated/fv_accuracy.md"]

myst_enable_extensions = ["dollarmath", "deflist"]
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "force"
nb_execution_raise_on_error = True
nb_execution_timeout = 900
nb_merge_streams = True

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
# PyTorch is documented whether or not it is installed.
autodoc_mock_imports = ["torch"]
toc_object_entries = False
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_attr_annotations = False
napoleon_use_rtype = False
napoleon_custom_sections = [("Shapes", "notes_style"), ("Units", "notes_style")]

# Pages that are generated; `generated/` is written anew and not kept in git.
_HERE = Path(__file__).parent
_OUT = _HERE / "generated"
_BENCHMARKS = _HERE.parent / "benchmarks"
shutil.rmtree(_OUT, ignore_errors=True)
(_OUT / "api").mkdir(parents=True)
reference.write_pages(_OUT / "api")
architecture.write_figure(_OUT / "floors.svg", _HERE.parent / "pyproject.toml")
_drawn = history.write_figures(_BENCHMARKS / "history", _OUT)
(_OUT / "performance.md").write_text(performance.page(_BENCHMARKS / "results", _drawn))
_rows = rows_table.table(_BENCHMARKS / "results" / "bench_rows.json")
(_OUT / "rows.md").write_text(_rows)
_accuracy = fv_accuracy_table.tables(_BENCHMARKS / "results" / "bench_fv_accuracy.json")
(_OUT / "fv_accuracy.md").write_text(_accuracy)
shutil.copytree(_HERE.parent / "examples", _OUT / "gallery")


def setup(app):
    """Escape characters of reST, because docstrings are plain text with doctests."""
    app.connect("autodoc-process-docstring", reference.escape, priority=100)
