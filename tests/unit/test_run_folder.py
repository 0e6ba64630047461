"""A run folder belongs to one run at a time, and remembers its settings."""

import json
import os

import pytest

from physcon.studies.folder import run_folder

SETTINGS = {"seed": 3, "training": {"steps": 60}}


def enter(folder, settings=SETTINGS, resume=False):
    return run_folder(folder, settings, {"jax": "0"}, resume)


def test_a_folder_in_use_says_who_holds_it(tmp_path):
    folder = tmp_path / "run"
    with enter(folder):
        held = {p.name: p.read_bytes() for p in folder.iterdir()}
        with (
            pytest.raises(ValueError, match=f"held by process {os.getpid()} on "),
            enter(folder, resume=True),
        ):
            raise AssertionError("entered a folder in use")
        assert {p.name: p.read_bytes() for p in folder.iterdir()} == held
    assert {p.name for p in folder.iterdir()} == {"settings.json", "provenance.json"}
    with enter(folder, resume=True):
        pass


def test_a_lock_of_a_killed_process_is_no_obstacle(tmp_path):
    (tmp_path / ".lock").write_text("process 1 on elsewhere since yesterday\n")
    with enter(tmp_path):
        assert f"process {os.getpid()}" in (tmp_path / ".lock").read_text()
    assert not (tmp_path / ".lock").exists()


def test_a_run_that_fails_before_it_has_done_anything_leaves_no_folder(tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(ValueError, match="wrong"), enter(folder):
        raise ValueError("wrong")
    assert not folder.exists()

    def work():
        with enter(folder):
            (folder / "anp.checkpoint").touch()
            raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        work()
    assert {p.name for p in folder.iterdir()} == {
        "settings.json", "provenance.json", "anp.checkpoint"
    }  # fmt: skip


def test_other_settings_and_foreign_files_are_refused_and_kept(tmp_path):
    with enter(tmp_path):
        (tmp_path / "table.txt").write_text("results")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    other = {**SETTINGS, "seed": 4}
    for settings, resume, message in (
        (other, True, "others for seed"),
        (SETTINGS, False, "add --resume"),
    ):
        with (
            pytest.raises(ValueError, match=message),
            enter(tmp_path, settings, resume),
        ):
            pass
        assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before
    (tmp_path / "settings.json").write_text("[")
    with (
        pytest.raises(ValueError, match="not a JSON object"),
        enter(tmp_path, resume=True),
    ):
        pass
    assert json.loads(before["settings.json"]) == SETTINGS
