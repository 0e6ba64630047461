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


AUDIT = """
import sys
import numpy as np
from scipy.io import netcdf_file

with netcdf_file(sys.argv[1], "w") as file:
    for name, points in (("y", np.arange(3.0)), ("x", np.arange(4.0))):
        file.createDimension(name, len(points))
        file.createVariable(name, float, (name,))[:] = points
    file.createVariable("u", float, ("y", "x"))[:] = 1.0
before = set(sys.modules)
from physcon.cli import main
sys.argv[1:] = ["audit", sys.argv[1], "mean: {of: u, equals: 1, weights: equal}"]
main()
loaded = {name for name, module in sys.modules.items() if module is not None}
assert "xarray" in loaded
unused = {"dask", "pint", "scipy.sparse.linalg", "matplotlib", "physcon.fv"} - before
assert not unused & loaded, unused & loaded
"""


def test_a_command_on_a_file_loads_no_other_kinds_of_arrays(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", AUDIT, str(tmp_path / "u.nc")],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
