"""Settings files by name, and suggestions for what is misspelt."""

import pytest

from physcon.cli import configs, main
from physcon.cli.parsers import suggestion


def test_a_name_means_the_file_that_physcon_brings_along(tmp_path, monkeypatch):
    own = configs.folder() / "stefan.yaml"
    assert "problem: stefan" in own.read_text()
    monkeypatch.chdir(tmp_path)
    for word in ("stefan", "stefan.yaml", "configs/stefan.yaml", str(own)):
        assert configs.find(word, "run") == own
    (tmp_path / "stefan.yaml").write_text("problem: heat\n")
    assert configs.find("stefan.yaml", "run").read_text() == "problem: heat\n"
    assert "fv_sod" in configs.names("solve")
    assert "fv_sod" not in configs.names("run")


@pytest.mark.parametrize(
    ("word", "command", "hint"),
    [
        ("stefn", "run", "did you mean stefan"),
        ("fv_sd", "solve", "did you mean fv_sod"),
        ("elsewhere/stefan.yaml", "run", "did you mean stefan"),
        ("zzz", "solve", "names are fv_burgers, "),
    ],
)
def test_an_unknown_name_is_refused_with_a_hint(word, command, hint):
    with pytest.raises(ValueError, match=hint):
        configs.find(word, command)


def test_a_file_that_is_no_settings_is_not_parsed(tmp_path):
    path = tmp_path / "large.yaml"
    path.write_text("# " + "comment " * 200_000 + "\nproblem: stefan\n")
    with pytest.raises(SystemExit, match="a settings file of at most 1000000 bytes"):
        main(["run", str(path), "--output", str(tmp_path / "run")])


@pytest.mark.parametrize(
    ("arguments", "hint"),
    [
        (["run", "stefan", "--trainig.steps", "3"], "did you mean --training.steps?"),
        (["run", "stefan", "--problem", "stefn"], "did you mean stefan?"),
        (["solve", "fv_sod", "--grid.cels", "[3]"], "did you mean --grid.cells?"),
    ],
)
def test_a_misspelt_option_gets_a_suggestion(arguments, hint, capsys):
    with pytest.raises(SystemExit):
        main(arguments)
    assert hint in capsys.readouterr().err


def test_what_resembles_nothing_gets_none():
    assert suggestion("unrecognized arguments: --zzz 3", ["--seed"]) == ""
    assert suggestion("another message", ["--seed"]) == ""


def test_the_version_is_said_once_and_ranges_are_in_the_help(capsys):
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out.count("physcon") == 1
    with pytest.raises(SystemExit):
        main(["run", "stefan", "--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert "[at least 0, below 1] (type: float, default: 0.9)" in said
