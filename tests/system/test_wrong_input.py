"""Wrong settings and files end a command with one sentence, before it writes."""

import numpy as np
import pytest

from physcon.cli import main


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "run"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--training.steps=-1", "--training.batch=0"], "steps = -1 .*batch = 0"),
        (["--network.heads=5"], "a multiple of network.heads = 5"),
        (["--tasks.train=-5"], "tasks.train = -5"),
        (["--tasks.context=[0,0]"], r"tasks.context = \(0, 0\)"),
        (["--network.size=0"], "network.size = 0"),
        (["--evaluation.methods=[]"], "evaluation.methods"),
        (['--evaluation.methods=["hard","hard"]'], "no entry twice"),
        (["--seed=9223372036854775808"], "seed = 9223372036854775808"),
        (["--evaluation.nt=0"], "evaluation.nt = 0"),
        (["--tasks.per_parameter=0"], "per_parameter = 0"),
        (["--model=ensemble", "--training.steps=0"], "training.steps = 0"),
        (["--soft_weights=anp.npz"], "--soft_weights alone"),
    ],
)
def test_of_a_study(folder, options, message):
    with pytest.raises(SystemExit, match=message):
        main(["run", "stefan", "--output", str(folder), "--quiet", *options])
    assert not folder.exists()


def test_weights_of_another_format_are_refused_by_name(folder, tmp_path):
    np.save(tmp_path / "weights.npy", np.zeros(3))
    (tmp_path / "weights.npy").rename(tmp_path / "renamed.npz")
    (tmp_path / "text.npz").write_text("no archive")
    for name in ("renamed.npz", "text.npz", "absent.npz"):
        for option in ("--weights", "--test_tasks"):
            path = str(tmp_path / name)
            command = ["run", "pme", "--output", str(folder), option, path]
            with pytest.raises(SystemExit, match=name):
                main(command)
            assert not folder.exists()
    with pytest.raises(SystemExit, match=r"burgers_train_16\.npz"):
        main(["run", "burgers_16", "--output", str(folder), "--data", str(tmp_path)])
    assert not folder.exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--end=.inf"], "end = inf"),
        (["--grid.upper=[.inf]"], r"grid.upper = \(inf,\)"),
        (["--scheme.step=euler", "--scheme.cfl=10"], "at most 1 with euler"),
        (["--scheme.cfl=0"], "scheme.cfl = 0"),
        (["--snapshots=0"], "snapshots = 0"),
        (["--law.gamma=1"], "law.gamma = 1.0"),
    ],
)
def test_of_a_solution(folder, options, message):
    with pytest.raises(SystemExit, match=message):
        main(["solve", "fv_sod", "--output", str(folder), "--quiet", *options])
    assert not folder.exists()
