"""Checkpoints are whole or refused, with a reason."""

import json

import numpy as np
import pytest

from physcon._files import atomic_write
from physcon.training.checkpoint import identity_hash, load_checkpoint, save_checkpoint

IDENTITY = {"config": {"optimizer": {"rate": 0.1}, "sizes": [2, 3]}, "seed": 4}
STATE = {"a": np.arange(6.0).reshape(2, 3), "losses": np.linspace(1, 0, 7)}


def like(step):
    return {"a": np.zeros((2, 3)), "losses": np.zeros(step)}


@pytest.fixture
def path(tmp_path):
    save_checkpoint(tmp_path / "run.ckpt", STATE, 7, IDENTITY)
    return tmp_path / "run.ckpt"


def test_round_trip(path):
    state, step = load_checkpoint(path, like, IDENTITY)
    assert step == 7
    for name, array in STATE.items():
        np.testing.assert_array_equal(state[name], array)
    assert [p.name for p in path.parent.iterdir()] == [
        "run.ckpt"
    ]  # no temporary file is left


def test_header_is_one_line_of_json(path):
    magic, header = path.read_bytes().split(b"\n")[:2]
    header = json.loads(header)
    assert magic == b"physcon-checkpoint"
    assert (header["version"], header["step"]) == (1, 7)
    assert header["identity_hash"] == identity_hash(IDENTITY)
    assert header["jax"]


def test_any_truncation_is_noticed(path):
    whole = path.read_bytes()
    for length in [0, 5, 18, 19, 40, len(whole) // 2, len(whole) - 1]:
        path.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"expected a .*checkpoint at .*remove it to start"
        ):
            load_checkpoint(path, like, IDENTITY)


def test_a_flipped_bit_is_noticed(path):
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="whose checksum is wrong"):
        load_checkpoint(path, like, IDENTITY)


def test_foreign_files_are_refused(path):
    np.save(path.with_suffix(".npy"), np.zeros(3))
    with pytest.raises(ValueError, match=r"got a file that begins with b.*x93NUMPY"):
        load_checkpoint(path.with_suffix(".npy"), like, IDENTITY)
    magic, header, payload = path.read_bytes().split(b"\n", 2)
    header = json.dumps(json.loads(header) | {"version": 9}).encode()
    path.write_bytes(b"\n".join([magic, header, payload]))
    with pytest.raises(
        ValueError, match=r"expected checkpoint version 1 .*, got version 9"
    ):
        load_checkpoint(path, like, IDENTITY)


def test_another_run_is_refused_by_what_differs(path):
    other = {
        "config": {"optimizer": {"rate": 0.2}, "sizes": (2, 3)},
        "seed": 4,
        "steps": 9,
    }
    with pytest.raises(ValueError, match="checkpoint of this run") as error:
        load_checkpoint(path, like, other)
    message = str(error.value)
    assert "config.optimizer.rate is 0.1 in the file and 0.2 here" in message
    assert "steps is 'absent' in the file and 9 here" in message
    assert "sizes" not in message
    assert "seed" not in message


def test_a_failed_write_leaves_the_old_file(path):
    before = path.read_bytes()

    def write_half():
        with atomic_write(path) as file:
            file.write(b"half")
            raise RuntimeError("disk full")

    with pytest.raises(RuntimeError, match="disk full"):
        write_half()
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == ["run.ckpt"]
