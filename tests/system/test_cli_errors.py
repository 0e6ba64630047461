"""Errors of the user end with one line; faults of the program keep their stack."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import physcon as pc
from physcon.cli import info, main


def conditioned(mean):
    prior = pc.Gaussian.diagonal(mean, jnp.ones(2))
    return pc.condition(prior, pc.integral(jnp.ones(2), 1.0)).posterior.mean


@pytest.mark.parametrize("transform", [lambda f: f, eqx.filter_jit, jax.jit])
def test_a_check_at_run_time_ends_with_its_message(monkeypatch, transform):
    mean = jnp.array([1.0, jnp.nan])
    fails = transform(conditioned)
    monkeypatch.setattr(info, "main", lambda _: jax.block_until_ready(fails(mean)))
    with pytest.raises(SystemExit) as end:
        main(["info"])
    line = str(end.value)
    assert line.startswith("physcon info: condition: expected a finite mean")
    assert "zero weight in the constraint and a finite mean" in line
    assert "\n" not in line
    assert "\n" not in line


def test_a_fault_of_the_program_is_not_hidden(monkeypatch):
    class Fault(RuntimeError):
        pass

    def broken(_):
        raise Fault("index out of range")

    monkeypatch.setattr(info, "main", broken)
    with pytest.raises(Fault):
        main(["info"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "subcommand"),
        (["run"], "expected a settings file"),
        (["solve"], "NAME.yaml"),
    ],
)
def test_an_incomplete_command_is_told_what_is_missing(arguments, message, capsys):
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert message in capsys.readouterr().err + str(end.value)
    assert end.value.code != 0


def test_an_output_that_cannot_be_written_ends_with_one_line(tmp_path):
    """A file where the run folder's parent should be."""
    (tmp_path / "file").touch()
    config = tmp_path / "fv.yaml"
    config.write_text("initial: {left: [1.0], right: [0.0], position: [0.5]}\n")
    with pytest.raises(SystemExit) as end:
        main(["solve", str(config), "--output", str(tmp_path / "file" / "run")])
    line = str(end.value)
    assert "Not a directory" in line
    assert "check the path" in line
    assert "\n" not in line


def test_an_interrupt_ends_with_one_line(monkeypatch, capsys):
    def interrupted(_):
        raise KeyboardInterrupt

    monkeypatch.setattr(info, "main", interrupted)
    with pytest.raises(SystemExit) as end:
        main(["info"])
    assert end.value.code == 130
    assert capsys.readouterr().err.strip() == "physcon info: interrupted"
