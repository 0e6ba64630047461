"""`physcon run` of a boundary study: tables that say who is exact, figures, resume."""

import base64
import html
import json

import pytest

from physcon.cli import main
from physcon.io import read_arrays

SMALL = [
    "--nodes=9",
    "--train=8",
    "--test=3",
    "--modes=2",
    "--width=4",
    "--depth=1",
    "--batch=4",
    "--steps=6",
    "--save_every=3",
    "--seeds=[0]",
    '--methods=["overwrite","basis"]',
]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "boon_waves.yaml"
    path.write_text(
        "study: boon\nproblem: wave-2d\ntime: 0.4\n"
        "presets:\n  quick: {times: 4, order: 2}\n"
    )
    return path


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """Waves in (x, y, t), from start to end."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    page = ["--report", str(folder.with_name("page.html"))]
    main(["run", str(config), "--output", str(folder), "--quiet", *SMALL, *page])
    return folder


def test_corrected_methods_are_exact_and_compared(finished, capsys):
    rows = {r["method"]: r for r in json.loads((finished / "table.json").read_text())}
    assert list(rows) == ["overwrite", "basis"]
    assert rows["overwrite"]["boundary_error"] < 1e-5
    assert rows["basis"]["boundary_error"] < 1e-5
    assert rows["overwrite"]["against_overwrite"] == 1.0
    main(["report", str(finished)])
    printed = capsys.readouterr().out
    worse = rows["basis"]["relative_l2"] > rows["overwrite"]["relative_l2"]
    assert ("not better than overwriting: basis" in printed) == worse


def test_folder_holds_settings_and_figures(finished):
    settings = json.loads((finished / "settings.json").read_text())
    assert (settings["times"], settings["order"]) == (4, 2)  # of the file's preset
    assert settings["learning_rate"] == 2e-3  # of the quick preset
    assert settings["nodes"] == 9  # of the command line
    for name in ("field", "profile", "error_over_time", "training"):
        assert (finished / f"{name}.png").stat().st_size > 5000
    header, *lines = (finished / "error_over_time.csv").read_text().splitlines()
    assert header == "t,overwrite,basis"
    assert [line.split(",")[0] for line in lines] == [
        "0.1",
        "0.2",
        "0.30000000000000004",
        "0.4",
    ]
    assert not list(finished.glob("*.partial"))


def test_a_page_holds_the_scores_and_the_figures(finished):
    text = finished.with_name("page.html").read_text()
    for picture in finished.glob("*.png"):
        content = base64.b64encode(picture.read_bytes()).decode()
        assert f'src="data:image/png;base64,{content}" alt="' in text
    assert html.escape((finished / "table.txt").read_text()) in text
    assert "<td>wave-2d</td>" in text


def test_a_run_stopped_after_training_resumes_to_the_same_result(
    finished, config, tmp_path
):
    """The networks are read, not trained again; tables and losses stay the same."""
    folder = tmp_path / "cut"
    folder.mkdir()
    kept = ("settings.json", "overwrite.checkpoint", "basis.checkpoint")
    for name in kept:
        (folder / name).write_bytes((finished / name).read_bytes())
    before = [(folder / name).stat().st_mtime_ns for name in kept[1:]]
    main(["run", str(config), "--output", str(folder), "--quiet", "--resume", *SMALL])
    assert [(folder / name).stat().st_mtime_ns for name in kept[1:]] == before
    assert (folder / "table.json").read_bytes() == (
        finished / "table.json"
    ).read_bytes()
    one, other = (read_arrays(f / "training.npz")["basis"] for f in (folder, finished))
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("study: bon", "bon"),
        ("study: boon\nproblem: navier", "navier"),
        ("study: boon\nseed: 1", "seed"),
        ("study: boon\npresets: {quick: {nodez: 3}}", "nodez"),
        ("presets: 3", "presets"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, capsys, text, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        main(["run", str(path), "--output", str(tmp_path / "run")])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
