"""`import physcon` loads jax and equinox only, changes no global setting, and finds its
parts.
"""

import subprocess
import sys

CODE = """
import sys
import jax
before = dict(jax.config.values)
import physcon
heavy = {"flax", "diffrax", "optax", "matplotlib", "lineax", "optimistix"}
heavy |= {"h5py", "xarray"}
loaded = {name.partition(".")[0] for name in sys.modules}
assert not heavy & loaded, heavy & loaded
assert dict(jax.config.values) == before
assert physcon.problems.PROBLEMS and "matplotlib" not in sys.modules
assert physcon.fv.solve and "diffrax" not in sys.modules
for name in ("flax", "torch"):  # as if not installed
    sys.modules[name] = None
    assert name not in dir(physcon)
    try:
        getattr(physcon, name)
    except ImportError as error:
        assert f"expected the package {name}" in str(error)
        assert f"run pip install 'physcon[{name}]'" in str(error)
    else:
        raise AssertionError(f"physcon.{name} was found")
try:
    physcon.nothing
except AttributeError as error:
    assert "nothing" in str(error)
else:
    raise AssertionError("an unknown name was found")
"""


def test_import_is_light_and_leaves_jax_as_it_was():
    done = subprocess.run(
        [sys.executable, "-c", CODE], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
