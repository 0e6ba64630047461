"""Several processes on one machine share a training run; one is killed, others take
over.
"""

import numpy as np
import pytest
from groups import Group, shared

from physcon.cli import main
from physcon.io import read_arrays

HOLD = """
import sys, time
import physcon.training.loop as loop

def hold(seconds):  # before every chunk, so that a kill falls inside the run
    compiled = loop.compiled_chunk
    loop.compiled_chunk = lambda *args: (
        lambda run: lambda *inputs: (time.sleep(seconds), run(*inputs))[1]
    )(compiled(*args))
"""

TRAIN = (
    HOLD
    + """
import jax, jax.numpy as jnp, numpy as np, optax
from physcon import parallel
from physcon.parallel import processes
from physcon.training import Minibatches, fit

address, number, own, checkpoint, output, pause = sys.argv[1:]
processes.start(address, int(number), int(own))
mesh = processes.mesh_of_all()
data = np.asarray(jax.random.normal(jax.random.key(0), (64, 3)))
data = parallel.shard(data, mesh, jax.P("batch"))
assert data.addressable_shards[0].data.shape == (64 // int(number), 3)

def loss(w, task, key):
    return (task @ w - 1.0) ** 2 + 0.1 * w @ jax.random.normal(key, (3,))

hold(float(pause))
with processes.ending_together():
    mean_loss = parallel.mean_over_tasks(loss, mesh=mesh, axis="batch")
    batches = Minibatches(data, 16, mesh)
    out = fit(mean_loss, jnp.ones(3), optax.adam(0.01), batches, 200,
              jax.random.key(1), chunk=5, checkpoint=checkpoint, save_every=5,
              resume=True,
              progress=False, mesh=mesh)
if jax.process_index() == 0:
    np.savez(output, w=out.params, losses=out.losses)
"""
)


STUDY = (
    HOLD
    + """
from physcon.cli import main

hold(0.4)
main(sys.argv[1:])
"""
)


def training(checkpoint, output, pause=0.0):
    return lambda address, number, k: [
        "-c",
        TRAIN,
        address,
        str(number),
        str(k),
        str(checkpoint),
        str(output),
        str(pause),
    ]


@pytest.mark.parametrize("victim", [3, 0], ids=["a worker", "the coordinator"])
def test_a_killed_process_ends_the_run_which_others_resume(victim, tmp_path, whole):
    checkpoint = tmp_path / "run.checkpoint"
    with Group(4, training(checkpoint, tmp_path / "never.npz", pause=0.1)) as group:
        codes, outputs = group.killed(victim, checkpoint)
    for k, (code, output) in enumerate(zip(codes, outputs, strict=True)):
        if k != victim:
            assert code not in (0, None)
            assert (
                "expected all 4 processes to stay" in output
                or "another task died" in output
            )
    assert not (tmp_path / "never.npz").exists()
    assert b'"step": 200' not in checkpoint.read_bytes()[:400]
    if victim == 0:
        return
    with Group(2, training(checkpoint, tmp_path / "resumed.npz")) as group:
        codes, outputs = group.finish()
    assert codes == [0, 0], outputs
    got = np.load(tmp_path / "resumed.npz")
    for name in ("w", "losses"):
        np.testing.assert_allclose(got[name], whole[name], rtol=2e-5, atol=1e-6)
    assert got["losses"].shape == (200,)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The same run by one process from start to end."""
    folder = tmp_path_factory.mktemp("whole")
    with Group(1, training(folder / "run.checkpoint", folder / "whole.npz")) as group:
        codes, outputs = group.finish()
    assert codes == [0], outputs
    return np.load(folder / "whole.npz")


def test_a_boundary_study_begun_by_two_processes_is_finished_by_one(tmp_path):
    config, folder, alone = (
        tmp_path / name for name in ("stokes.yaml", "together", "alone")
    )
    config.write_text(
        "{study: boon, problem: stokes, nodes: 9, train: 8, test: 2, "
        "modes: 2, width: 4, depth: 1,"
        " batch: 4, steps: 40, save_every: 10, methods: [lift], seeds: [0]}"
    )

    def study(folder):
        return ["run", str(config), "--output", str(folder), "--quiet"]

    checkpoint = folder / "lift.checkpoint"
    with Group(2, shared(["-c", STUDY], study(folder))) as group:
        codes, outputs = group.killed(1, checkpoint)
    assert codes[0] == 1
    assert "expected all 2 processes to stay" in outputs[0]
    assert b'"step": 40' not in checkpoint.read_bytes()[:400]
    main([*study(folder), "--resume"])
    main(study(alone))
    got, expected = (read_arrays(f / "training.npz")["lift"] for f in (folder, alone))
    assert got.shape == (40,)
    np.testing.assert_allclose(got, expected, rtol=2e-5)
    assert {f.name for f in folder.iterdir()} == {f.name for f in alone.iterdir()}


def test_who_is_who_without_distributed_is_refused(tmp_path):
    config = tmp_path / "stefan.yaml"
    config.write_text("problem: stefan\n")
    with pytest.raises(SystemExit, match="expected --distributed with them"):
        main(
            ["run", str(config), "--processes", "2", "--output", str(tmp_path / "run")]
        )
    assert not (tmp_path / "run").exists()
