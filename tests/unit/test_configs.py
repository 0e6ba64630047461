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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"problem: stefan\nseed: 1\nseed: 2\n", "'seed' again.*line 2 or line 3"),
        (b"problem: stefan\nseed: 010\n", "a decimal number, got 010"),
        (b"problem: stefan\nseed: 1:30\n", "a decimal number, got 1:30.*line 2"),
        (b"problem: st\xe9fan\n", "text in UTF-8, got byte 11"),
        (b"problem: stefan\nseed:\n", "got seed without a value"),
        (b"problem: stefan\ntraining: 3\n", r"training = 3 \(settings by name\)"),
        (b"a: &a [" + 99 * b"0, " + b"0]\nb: &b [" + 99 * b"*a, " + b"*a]\n"
         b"c: [*b, *b]\n", "at most 10000 entries"),
    ],
)  # fmt: skip
def test_what_yaml_would_misread_is_refused(tmp_path, text, message):
    (tmp_path / "own.yaml").write_bytes(text)
    with pytest.raises(SystemExit, match=message):
        main(["run", str(tmp_path / "own.yaml"), "--output", str(tmp_path / "run")])
    assert not (tmp_path / "run").exists()


def test_a_misspelt_name_in_a_file_gets_a_suggestion(tmp_path, capsys):
    (tmp_path / "own.yaml").write_text("training:\n  step: 3\n")
    with pytest.raises(SystemExit):
        main(["run", str(tmp_path / "own.yaml")])
    assert "did you mean training.steps?" in capsys.readouterr().err
