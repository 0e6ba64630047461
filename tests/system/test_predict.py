"""Exported predictors: the numbers of the program that was exported, or a clear
refusal.
"""

import hashlib
import json
import subprocess
import sys

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import physcon as pc
from physcon._files import read_sealed, write_sealed
from physcon._status import choose, severity
from physcon.cli import main
from physcon.serving import load_exported

GRID = pc.Grid.uniform(0.0, 1.0, 16, location="nodes")
LAW = pc.boundary_values(GRID, pc.Boundary((pc.Dirichlet(1.0), pc.Neumann(0.0))))


@pytest.fixture(scope="module")
def predict():
    """A network with a boundary correction, then conditioned on a mass: one sample."""
    fno = pc.operators.FNO.init(
        jax.random.key(0), 1, 2, (4,), width=4, depth=1, hidden=4
    )
    network = pc.operators.BoundaryFNO(fno, throw=False)
    boundary = pc.Boundary((pc.Dirichlet(1.0), pc.Dirichlet(0.0)))

    def predict(u, mass, gain):
        mean, variance = network.mean_and_variance(gain * u, boundary, GRID)
        prior = pc.Gaussian.from_variance(mean[0], variance[0])
        done = pc.condition(prior, pc.integral(GRID, mass), throw=False)
        return {"posterior": {"mean": done.posterior.mean}, "status": done.status}

    return predict


@pytest.fixture(scope="module")
def path(predict, tmp_path_factory):
    path = tmp_path_factory.mktemp("export") / "boon.physcon"
    inputs = {"u": jnp.zeros((1, 16)), "mass": jnp.zeros(()), "gain": 1.0}
    cite = (pc.condition, pc.operators.BoundaryFNO)
    pc.export(predict, path, inputs, shared=["gain"], description="a rod", cite=cite)
    return path


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    u = rng.normal(size=(3, 1, 16)).astype(np.float32)
    return {
        "u": u,
        "mass": np.array([0.5, 0.6, 0.7], np.float32),
        "gain": np.float32(2),
    }


def test_another_process_gives_the_same_without_the_code(
    path, inputs, predict, tmp_path
):
    np.savez(tmp_path / "in.npz", **inputs, other=np.zeros(2))
    arguments = [
        "predict",
        str(path),
        str(tmp_path / "in.npz"),
        "-o",
        str(tmp_path / "out.npz"),
    ]
    arguments += ["--compile_cache", str(tmp_path / "cache")]
    code = (
        "import sys; from physcon.cli import main; main(sys.argv[1:]);"
        "parts = {'operators', 'training', 'studies.session', 'fv'};"
        "found = {f'physcon.{p}' for p in parts} & set(sys.modules); "
        "assert not found, found"
    )
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert "written by cpu" in done.stdout
    assert any((tmp_path / "cache").iterdir())
    out = np.load(tmp_path / "out.npz")
    expected = jax.jit(jax.vmap(predict, (0, 0, None)))(
        inputs["u"], inputs["mass"], 2.0
    )
    np.testing.assert_allclose(
        out["posterior.mean"], expected["posterior"]["mean"], rtol=1e-5, atol=1e-6
    )
    total = out["posterior.mean"].astype(float) @ np.asarray(GRID.weights(), float)
    np.testing.assert_allclose(total, inputs["mass"], rtol=1e-6)
    assert out["status"].tolist() == [0, 0, 0]


def test_metadata(path, capsys):
    artifact = load_exported(path)
    m = artifact.metadata
    assert m["inputs"] == {
        "u": {"shape": ["b", 1, 16], "dtype": "float32"},
        "mass": {"shape": ["b"], "dtype": "float32"},
        "gain": {"shape": [], "dtype": "float32"},
    }
    assert m["outputs"] == {
        "posterior.mean": {"shape": ["b", 16], "dtype": "float32"},
        "status": {"shape": ["b"], "dtype": "int32"},
    }
    assert m["platforms"] == ["cpu", "cuda", "tpu"]
    assert "saad2023" in m["bibtex"]
    main(["predict", str(path)])
    printed = capsys.readouterr().out
    assert "a rod\ninputs:\n  u: float32 (b, 1, 16)\n  mass: float32 (b,)" in printed
    assert repr(artifact) + "\n" == str(artifact) + "\n" == printed
    assert f"jax {jax.__version__}" in printed


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"u": None}, r"inputs u, mass, gain, got no 'u'"),
        ({"v": np.zeros(3)}, r"got an unknown 'v'"),
        (
            {"u": np.zeros((3, 1, 17), np.float32)},
            r"u of shape \(b, 1, 16\), got \(3, 1, 17\)",
        ),
        (
            {"u": np.zeros((1, 16), np.float32)},
            r"u of shape \(b, 1, 16\), got \(1, 16\)",
        ),
        ({"u": np.zeros((0, 1, 16), np.float32)}, r"got \(0, 1, 16\)"),
        (
            {"mass": np.zeros(2, np.float32)},
            r"one batch size, got \{'u': 3, 'mass': 2\}",
        ),
        (
            {"mass": np.zeros(3)},
            r"mass of dtype float32, got float64; .*astype\('float32'\)",
        ),
    ],
)
def test_other_inputs_are_refused(path, inputs, change, message):
    changed = {k: v for k, v in {**inputs, **change}.items() if v is not None}
    with pytest.raises(ValueError, match=message):
        load_exported(path)(**changed)


def test_the_command_refuses(path, inputs, tmp_path):
    np.savez(tmp_path / "in.npz", u=inputs["u"])
    out = str(tmp_path / "out.npz")
    with pytest.raises(
        SystemExit, match=r"arrays u, mass, gain in in.npz, got u; add mass, gain"
    ):
        main(["predict", str(path), str(tmp_path / "in.npz"), "-o", out])
    with pytest.raises(SystemExit, match="add the option -o OUTPUT"):
        main(["predict", str(path), str(tmp_path / "in.npz")])
    np.savez(
        tmp_path / "wide.npz", **{k: np.asarray(v, float) for k, v in inputs.items()}
    )
    with pytest.raises(SystemExit, match="u of dtype float32, got float64"):
        main(["predict", str(path), str(tmp_path / "wide.npz"), "-o", out])
    assert not (tmp_path / "out.npz").exists()


def altered(path, tmp_path, **metadata):
    """The artifact with other metadata, sealed again."""
    _, payload = read_sealed(path, "artifact", 1, "")
    line, program = payload.split(b"\n", 1)
    line = json.dumps(json.loads(line) | metadata).encode()
    write_sealed(tmp_path / "altered", "artifact", 1, {}, line + b"\n" + program)
    return tmp_path / "altered"


def test_damaged_foreign_and_outdated_files_are_refused(path, tmp_path):
    whole, other = path.read_bytes(), tmp_path / "other"
    for length in [0, 5, 17, 30, 120, len(whole) // 2, len(whole) - 1]:
        other.write_bytes(whole[:length])
        with pytest.raises(
            ValueError, match=r"expected a .*artifact at .*export the predictor"
        ):
            load_exported(other)
    for place in (150, len(whole) - 5):  # in the metadata, in the program
        damaged = bytearray(whole)
        damaged[place] ^= 1
        other.write_bytes(damaged)
        with pytest.raises(ValueError, match="whose checksum is wrong"):
            load_exported(other)
    np.savez(other.with_suffix(".npz"), x=np.zeros(3))
    with pytest.raises(
        ValueError, match=r"physcon artifact at .*got a file that begins with b'PK"
    ):
        load_exported(other.with_suffix(".npz"))
    with pytest.raises(ValueError, match=r"got no file; check the path"):
        load_exported(tmp_path / "absent")
    outdated = altered(path, tmp_path, calling_convention=3, jax="0.4.20")
    with pytest.raises(
        ValueError, match=r"version 3, written by jax 0.4.20; install jax 0.4.20"
    ):
        load_exported(outdated)
    write_sealed(
        other, "artifact", 1, {}, whole.split(b"\n", 3)[2] + b"\nnot a program"
    )
    with pytest.raises(
        ValueError, match=r"a program that jax .* reads at .*export the predictor"
    ):
        load_exported(other)


def test_programs_of_a_newer_jax(path, tmp_path, inputs):
    """Read where this version can, refused at once where it can't."""
    newer = altered(path, tmp_path, jax="99.0")
    np.testing.assert_array_equal(
        load_exported(newer)(**inputs)["status"],
        load_exported(path)(**inputs)["status"],
    )
    content = newer.read_bytes().split(b"\n", 3)
    program = content[3].replace(b"add_v1", b"add_v9")  # an operation of the future
    assert program != content[3]
    write_sealed(newer, "artifact", 1, {}, content[2] + b"\n" + program)
    with pytest.raises(
        ValueError, match=r"written by jax 99.0 .*install jax 99.0 or newer, or"
    ):
        load_exported(newer)


def test_a_platform_that_it_was_not_exported_for(tmp_path):
    pc.export(lambda x: jnp.sin(x), tmp_path / "sin", {"x": 1.0}, platforms=["tpu"])
    with pytest.raises(ValueError, match=r"platforms tpu, got cpu; export for it"):
        load_exported(tmp_path / "sin")(x=np.ones(2, np.float32))


def test_a_host_callback_is_named(tmp_path):
    def throws(mean):
        law = pc.integral(jnp.ones(4), 1.0)
        return pc.condition(pc.Gaussian.diagonal(mean, mean), law).posterior.mean

    with pytest.raises(ValueError, match=r"got .*pure_callback; pass throw=False"):
        pc.export(throws, tmp_path / "x", {"mean": jnp.ones(4)})

    def prints(x):
        return jax.lax.cond(x > 0, lambda: jax.debug.print("{}", x), lambda: None) or x

    with pytest.raises(ValueError, match=r"without host callbacks, got debug"):
        pc.export(prints, tmp_path / "x", {"x": 1.0})
    assert not (tmp_path / "x").exists()
    (tmp_path / "x").write_text("mine")
    with pytest.raises(ValueError, match=r"a new file, got .* exists"):
        pc.export(jnp.sin, tmp_path / "x", {"x": 1.0})


def test_a_digest_that_the_user_knows(path, capsys):
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    main(["predict", str(path), "--sha256", digest.upper()])
    assert "a rod" in capsys.readouterr().out
    with pytest.raises(SystemExit, match=f"digest {'0' * 64} at .*got {digest}"):
        main(["predict", str(path), "--sha256", "0" * 64])


def test_float64_stays_float64_without_the_global_flag(tmp_path):
    with jax.enable_x64(True):
        one = {"x": jnp.zeros(3), "k": jnp.zeros((), jnp.int64)}
        pc.export(lambda x, k: jnp.sin(x) + k, tmp_path / "sin", one)
    artifact = load_exported(tmp_path / "sin")
    x = np.random.default_rng(0).normal(size=(2, 3))
    out = artifact(x=x, k=np.array([0, 2**40]))["out"]
    assert out.dtype == np.float64
    np.testing.assert_allclose(out, np.sin(x) + np.array([[0], [2**40]]), rtol=1e-15)
    with pytest.raises(ValueError, match="x of dtype float64, got float32"):
        artifact(x=x.astype(np.float32), k=np.array([0, 1]))


SQUARE = pc.Grid.uniform((0.0, 0.0), (1.0, 1.0), (6, 5), location="nodes")


class OnWalls(eqx.Module):
    """A corrected network whose wall values are inputs."""

    network: pc.operators.BoundaryFNO

    def __call__(self, u, wall, **options):
        walls = pc.Boundary(pc.Dirichlet(wall), pc.Dirichlet(wall))
        return self.network(u, walls, SQUARE, **options)


def test_a_trained_boundary_network_is_exported(tmp_path):
    """Its corner check is a callback: off for a module, or by the call's `throw`."""
    fno = pc.operators.FNO.init(jax.random.key(0), 1, 1, (2, 2), 2, 1, hidden=2)
    trained = OnWalls(pc.operators.BoundaryFNO(fno))
    one = {"u": jnp.ones((1, 6, 5)), "wall": jnp.ones(())}
    with pytest.raises(ValueError, match="throw=False to physcon's functions and netw"):
        pc.export(lambda u, wall: trained(u, wall), tmp_path / "no", one)
    pc.export(trained, tmp_path / "module", one)
    pc.export(lambda u, wall: trained(u, wall, throw=False), tmp_path / "closure", one)
    expected = jax.jit(lambda u, wall: trained(u, wall, throw=False))(*one.values())
    for name in ("module", "closure"):
        batch = {key: np.asarray(x)[None] for key, x in one.items()}
        found = load_exported(tmp_path / name)(**batch)["out"][0]
        np.testing.assert_allclose(found, expected, atol=1e-5)
        np.testing.assert_array_equal(found[0, 0], 1.0)


def test_an_outcome_is_written_by_its_severity(tmp_path):
    def judge(x):
        return {"outcome": choose((x > 0, pc.Outcome.contradiction))}

    artifact = pc.export(judge, tmp_path / "judge", {"x": jnp.zeros(())})
    found = artifact(x=np.array([-1.0, 1.0], np.float32))
    expected = [severity(pc.Outcome.good), severity(pc.Outcome.contradiction)]
    np.testing.assert_array_equal(found["outcome"], expected)
