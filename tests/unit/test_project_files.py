"""Files around the code that nothing else would miss: news, extras, workflows."""

import re
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_news_fragments_make_a_section():
    sys.path.insert(0, str(ROOT / "news"))
    try:
        from collect import section  # pyright: ignore[reportMissingImports]
    finally:
        sys.path.pop(0)
    text = section(ROOT / "news", "9.9.9")
    assert text.startswith("## 9.9.9\n")


def test_readme_has_two_set_up_commands_that_install_extras_which_exist():
    readme = (ROOT / "README.md").read_text()
    blocks = re.findall(r"^```sh\n(.*?)^```$", readme, re.M | re.S)
    assert len(blocks) == 2
    assert all(block.count("\n") == 1 for block in blocks)
    extras = [re.findall(r'install .*"\.\[(\w+)\]"', block) for block in blocks]
    assert extras == [["all"], ["test"]]
    assert {"all", "test"} <= PROJECT["optional-dependencies"].keys()


def test_workflows_are_yaml_and_run_the_checks_of_the_ci_script():
    names = {}
    for file in (ROOT / ".github" / "workflows").glob("*.yml"):
        names[file.name] = file.read_text()
        assert {"name", "jobs"} <= yaml.safe_load(names[file.name]).keys()
    checks = (ROOT / ".ci" / "run").read_text()
    everywhere = "".join(names.values())
    for command in ("ruff check", "ruff format --check", "lint-imports", "pyright"):
        assert command.split()[0] in checks
        assert command in everywhere
    assert "sphinx -W" in everywhere
    assert "sphinx -W" in checks


def test_issue_form_asks_for_versions():
    form = yaml.safe_load((ROOT / ".github/ISSUE_TEMPLATE/bug.yml").read_text())
    labels = [field["attributes"]["label"] for field in form["body"]]
    assert any("physcon info" in label for label in labels)
