"""`physcon run`: a killed run resumes to the bitwise same result; settings are kept."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from physcon.cli import main
from physcon.cli.ranges import judged
from physcon.cli.run import parser
from physcon.io import read_arrays
from physcon.studies.probconserv.settings import StudyConfig

SMALL = [
    "--evaluation.nt=3",
    "--tasks.train=64",
    "--tasks.per_parameter=2",
    "--tasks.context=[4,4]",
    "--tasks.target=[4,4]",
    "--network.size=16",
    "--training.batch=8",
    "--training.steps=60",
    "--training.save_every=20",
    "--evaluation.nx=41",
    "--evaluation.latent_samples=4",
    "--evaluation.dense_latent_samples=2",
    "--evaluation.shock_samples=40",
    '--evaluation.methods=["unconstrained","hard","probconserv"]',
]


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = tmp_path_factory.mktemp("config") / "stefan.yaml"
    path.write_text("problem: stefan\nseed: 3\n")
    return path


@pytest.fixture(scope="module")
def finished(config, tmp_path_factory):
    """One run from start to end, in this process."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    main(["run", str(config), "--output", str(folder), "--quiet", *SMALL])
    return folder


def test_constrained_methods_conserve_and_the_plain_one_does_not(finished):
    rows = json.loads((finished / "table.json").read_text())
    error = {
        (f"{r['parameter']:g}", r["method"]): r["mean"]["conservation_error"]
        for r in rows
    }
    assert {p for p, _ in error} == {"0.5", "0.6"}
    for (_, method), value in error.items():
        if method == "unconstrained":
            assert abs(value) > 1e-3
        else:
            assert abs(value) < 1e-6


def test_a_list_in_the_presets_of_a_file_is_a_tuple(tmp_path):
    path = tmp_path / "own.yaml"
    path.write_text(
        "problem: stefan\npresets:\n  quick:\n    evaluation.methods: [hard]\n"
    )
    arguments = ["--config", str(path), "--preset", "quick"]
    options = parser(arguments).parse_args(arguments)
    config = judged(StudyConfig, options)
    assert config.evaluation.methods == ("hard",)
    hash(config)


def test_folder_holds_settings_provenance_tables_and_figures(finished, capsys):
    settings = json.loads((finished / "settings.json").read_text())
    assert settings["seed"] == 3
    assert settings["training"]["learning_rate"] == 1e-3  # of the quick preset
    assert settings["training"]["steps"] == 60  # of the command line
    assert "jax" in json.loads((finished / "provenance.json").read_text())["versions"]
    for name in ("mass", "profile", "shock"):
        assert (finished / f"{name}_p_star_0.5.png").stat().st_size > 5000
    assert (finished / "training.png").exists()
    assert not list(finished.glob("*.partial"))
    main(["report", str(finished)])
    assert "probconserv" in capsys.readouterr().out


def test_a_killed_run_resumes_to_the_same_result(finished, config, tmp_path):
    folder = tmp_path / "killed"
    command = [
        sys.executable,
        "-m",
        "physcon",
        "run",
        str(config),
        "--output",
        str(folder),
    ]
    command += ["--quiet", *SMALL]
    log = tmp_path / "log"
    with log.open("w") as out:
        process = subprocess.Popen(
            command, stdout=out, stderr=out, env=dict(os.environ)
        )
        checkpoint = folder / "anp.checkpoint"
        deadline = time.monotonic() + 240
        while (
            not checkpoint.exists()
            and process.poll() is None
            and time.monotonic() < deadline
        ):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert checkpoint.exists(), log.read_text()
    assert not (folder / "table.json").exists()
    main([*command[3:], "--resume"])
    assert (folder / "table.json").read_bytes() == (
        finished / "table.json"
    ).read_bytes()
    one, other = (read_arrays(f / "training.npz")["anp"] for f in (folder, finished))
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ([], "--resume"),
        (["--resume", "--seed", "4"], "seed"),
    ],
)
def test_a_folder_of_another_run_is_refused(finished, config, extra, message):
    before = {p.name: p.read_bytes() for p in finished.iterdir()}
    with pytest.raises(SystemExit, match=message):
        main(["run", str(config), "--output", str(finished), "--quiet", *SMALL, *extra])
    assert {p.name: p.read_bytes() for p in finished.iterdir()} == before


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("problem: navier", [], "navier"),
        ("problem: stefan\nseeds: 1", [], "seeds"),
        ("problem: stefan", ["--training.batch=many"], "batch"),
        ("problem: stefan", ["--preset", "huge"], "huge"),
    ],
)
def test_wrong_settings_are_refused(tmp_path, capsys, text, options, message):
    path = tmp_path / "config.yaml"
    path.write_text(text)
    with pytest.raises(SystemExit):
        main(["run", str(path), "--output", str(tmp_path / "run"), *options])
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


FINITE_VOLUMES = ["--truth=fv", "--truth_cells=40"]
THROUGH = ["--training.through_constraint=true", "--training.score=crps"]


@pytest.mark.parametrize(
    ("model", "extra"), [("gp", FINITE_VOLUMES), ("ensemble", THROUGH)]
)
def test_other_models_are_constrained_too(config, tmp_path, model, extra, capsys):
    folder = tmp_path / model
    options = [
        f"--model={model}",
        "--network.members=3",
        "--output",
        str(folder),
        "--quiet",
    ]
    main(["run", str(config), *SMALL, *options, *extra])
    assert ("truth by finite volumes" in capsys.readouterr().out) == (model == "gp")
    rows = json.loads((folder / "table.json").read_text())
    assert {row["method"] for row in rows} == {"unconstrained", "hard", "probconserv"}
    for row in rows:
        if row["method"] == "probconserv":
            assert abs(row["mean"]["conservation_error"]) < 1e-6
            before = next(
                r
                for r in rows
                if (r["parameter"], r["method"]) == (row["parameter"], "unconstrained")
            )
            assert abs(before["mean"]["conservation_error"]) > 1e-3


def test_an_inverse_study_is_run_by_its_name(tmp_path, capsys):
    """Settings on the command line, table and figure in the folder, mass kept where
    asked for.
    """
    path, folder = tmp_path / "inverse_assimilation.yaml", tmp_path / "run"
    path.write_text("study: inverse_assimilation\nmembers: 6\n")
    sizes = ["--cells=32", "--sensors=4", "--cycles=2", "--experiments=1"]
    main(["run", str(path), "--output", str(folder), "--quiet", *sizes])
    assert json.loads((folder / "settings.json").read_text())["members"] == 6
    rows = {
        row["method"]: row for row in json.loads((folder / "table.json").read_text())
    }
    assert rows["localised, mass conserved"]["largest_mass_error"] < 1e-7
    assert rows["localised"]["largest_mass_error"] > 1e-3
    assert "localised" in capsys.readouterr().out
    assert (folder / "assimilation.png").stat().st_size > 5000


def test_a_gaussian_process_has_no_training_through_the_law(config, tmp_path):
    options = [*SMALL, *THROUGH, "--model=gp", "--output", str(tmp_path / "run")]
    with pytest.raises(SystemExit, match="fitted by its evidence"):
        main(["run", str(config), *options])
