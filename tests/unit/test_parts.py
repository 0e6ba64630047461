"""Problems solved in parts: resumed to the same bits, shown unless quiet."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from physcon.studies import sharing
from physcon.studies.session import Session
from physcon.studies.sharing import solved, solved_in_parts


def problem(x):
    return {
        "root": jnp.sqrt(x),
        "drawn": jax.random.normal(jax.random.key(3), (2,)) * x,
    }


XS = jnp.arange(1.0, 24.0)


def test_an_interrupted_run_continues_with_the_parts_that_are_missing(
    tmp_path, monkeypatch, capsys
):
    session = Session(tmp_path, {"seed": 1}, progress=False)
    saved, save = [], sharing.save_checkpoint

    def cut(path, state, step, identity):
        save(path, state, step, identity)
        saved.append(step)
        if step == 12:
            raise KeyboardInterrupt

    monkeypatch.setattr(sharing, "save_checkpoint", cut)
    with pytest.raises(KeyboardInterrupt):
        solved_in_parts(problem, XS, session, "roots", parts=6)
    again = Session(tmp_path, {"seed": 1}, resume=True, progress=False)
    found = solved_in_parts(problem, XS, again, "roots", parts=6)
    assert saved == [4, 8, 12, 16, 20, 23]  # none is solved twice
    whole = solved_in_parts(problem, XS, Session(progress=False), "roots", parts=6)
    jax.tree.map(np.testing.assert_array_equal, found, whole)
    together = solved(problem, XS)
    jax.tree.map(np.testing.assert_allclose, found, together)
    assert capsys.readouterr() == ("", "")
    other = Session(tmp_path, {"seed": 2}, resume=True, progress=False)
    with pytest.raises(ValueError, match=r"config\.seed|seed is 1 in the file"):
        solved_in_parts(problem, XS, other, "roots", parts=6)


def test_a_session_that_is_not_quiet_shows_its_progress(capsys):
    solved_in_parts(problem, XS[:4], Session(), "roots", parts=2)
    assert "4/4" in capsys.readouterr().err
