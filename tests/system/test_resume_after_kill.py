"""A training run killed with SIGKILL resumes to the bitwise same result."""

import os
import signal
import subprocess
import sys
import time

import numpy as np

SCRIPT = """
import sys, time
import jax, jax.numpy as jnp, numpy as np, optax
from physcon.training import Minibatches, fit

checkpoint, output, pause = sys.argv[1], sys.argv[2], float(sys.argv[3])

def loss(w, batch, key):
    return jnp.mean((batch @ w - 1.0) ** 2) + 0.1 * w @ jax.random.normal(key, (3,))

optimizer = optax.adam(0.01)
data = jax.random.normal(jax.random.key(0), (64, 3))
if pause:  # hold every chunk, so that the kill falls inside the run
    import physcon.training.loop as loop
    compiled = loop.compiled_chunk
    def slow_chunk(*args):
        run = compiled(*args)
        return lambda *inputs: (time.sleep(pause), run(*inputs))[1]
    loop.compiled_chunk = slow_chunk
out = fit(loss, jnp.ones(3), optimizer, Minibatches(data, 16), 400, jax.random.key(1),
          chunk=5, checkpoint=checkpoint, save_every=5, resume=True, progress=False)
np.savez(output, w=out.params, losses=out.losses, mu=out.opt_state[0].mu)
"""


def start(checkpoint, output, pause):
    arguments = [sys.executable, "-c", SCRIPT, str(checkpoint), str(output), str(pause)]
    return subprocess.Popen(arguments, env=os.environ | {"JAX_PLATFORMS": "cpu"})


def wait_for_change(path, old, process, limit=120.0):
    """Wait until `path` exists with other content than `old`."""
    deadline = time.monotonic() + limit
    while time.monotonic() < deadline:
        assert process.poll() is None, "the run ended before it was killed"
        if path.exists() and (content := path.read_bytes()) != old:
            return content
        time.sleep(0.01)
    raise AssertionError("no checkpoint within the limit")


def test_sigkill_then_resume_is_bitwise_the_same(tmp_path):
    checkpoint = tmp_path / "run.ckpt"
    process = start(checkpoint, tmp_path / "never.npz", pause=0.2)
    try:
        first = wait_for_change(checkpoint, None, process)
        wait_for_change(checkpoint, first, process)
    finally:
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait(timeout=30) == -signal.SIGKILL
    assert not (tmp_path / "never.npz").exists()
    killed_at = checkpoint.read_bytes()

    resumed = start(checkpoint, tmp_path / "resumed.npz", pause=0)
    whole = start(tmp_path / "whole.ckpt", tmp_path / "whole.npz", pause=0)
    assert resumed.wait(timeout=120) == 0
    assert whole.wait(timeout=120) == 0
    assert b'"step": 400' not in killed_at[:2000]
    got, expected = np.load(tmp_path / "resumed.npz"), np.load(tmp_path / "whole.npz")
    for name in ("w", "losses", "mu"):
        np.testing.assert_array_equal(got[name], expected[name])
    assert got["losses"].shape == (400,)
