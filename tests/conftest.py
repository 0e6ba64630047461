"""Shared fixtures and settings of all tests.

Rank promotion raises, and shapes and types are checked at run time in all of physcon.
"""

import gc
import os
from importlib.metadata import version
from pathlib import Path

os.environ.setdefault("JAX_PLATFORMS", "cpu")
# Commands in these tests leave the user's cache as it is.
os.environ.setdefault("PHYSCON_COMPILE_CACHE", "off")
# Compilation is most of the suite's time: without LLVM's optimisations it is a third
# shorter, and without the fusion emitters half of that; one LLVM module per program
# instead of 32 saves a tenth. Later jaxlibs abort on the name of the emitters' flag.
os.environ.setdefault(
    "XLA_FLAGS",
    # Eight virtual devices for tests/parallel. Here, not in jax.config: processes that
    # tests start must have as many, since the number decides how threads share a sum,
    # and so its rounding.
    "--xla_force_host_platform_device_count=8 --xla_backend_optimization_level=0"
    + (
        " --xla_cpu_use_fusion_emitters=false"
        " --xla_cpu_parallel_codegen_split_count=1"
        " --xla_llvm_disable_expensive_passes=true"
        if version("jaxlib").startswith("0.10.")
        else ""
    ),
)

import jax
import numpy as np
import pytest
from hypothesis import settings
from jaxtyping import config, install_import_hook

# Tracing allocates many small objects that live on in caches: by default the garbage
# collector looks at all of them again every few thousand, a tenth of the suite's time.
gc.set_threshold(100_000, 50, 100)

# For the whole session, not for one import: parts of physcon load lazily.
install_import_hook("physcon", "beartype.beartype")

jax.config.update("jax_numpy_rank_promotion", "raise")

# Compilation dominates: deadlines would time XLA, not the code.
settings.register_profile("physcon", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("physcon")

#: Folders whose tests are `quick`: all of them, doctests included, take two minutes.
QUICK = ("src", "tests/unit")

REFERENCES = Path(__file__).resolve().parents[2] / "shared" / "refs"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Mark the quick tests: `pytest -n auto -m quick`."""
    quick = [config.rootpath / folder for folder in QUICK]
    for item in items:
        if any(item.path.is_relative_to(folder) for folder in quick):
            item.add_marker(pytest.mark.quick)


@pytest.fixture(autouse=True, scope="module")
def few_programs():
    """Free compiled programs before they fill the process's memory maps.

    Linux allows 65 530 of them, beyond which LLVM crashes; a serial run of the suite
    would get there.
    """
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 10_000:
        jax.clear_caches()


@pytest.fixture
def getkey():
    """A source of fresh PRNG keys from one seed."""
    keys = iter(jax.random.split(jax.random.key(2023), 1000))
    return lambda: next(keys)


@pytest.fixture
def rng():
    """A seeded NumPy generator."""
    return np.random.default_rng(2302_11002)


@pytest.fixture
def as_users_have_it():
    """Without the type checks that the tests put around every function."""
    before = config.jaxtyping_disable
    config.update("jaxtyping_disable", True)
    yield
    config.update("jaxtyping_disable", before)


@pytest.fixture
def x64():
    """Float64 for the length of one test."""
    with jax.enable_x64(True):
        yield


@pytest.fixture
def reference():
    """`reference("boon/fno1d.npz")`: arrays made by other people's code, or a skip."""

    def load(name: str):
        path = REFERENCES / name
        if not path.exists():
            pytest.skip(
                f"reference arrays not present on this machine: shared/refs/{name}"
            )
        return np.load(path, allow_pickle=False)

    return load
