"""`citation` finds in references.bib what the docstrings name as their sources."""

import functools
import importlib
import inspect
import pkgutil

import jax
import pytest

import physcon as pc
from physcon import _citation

PARTS = (
    pc,
    pc.conditioning,
    pc.fv,
    pc.inverse,
    pc.operators,
    pc.models,
    pc.problems,
    pc.metrics,
)
PUBLIC = {
    f"{part.__name__}.{name}": value
    for part in PARTS
    for name, value in inspect.getmembers(part, callable)
    if getattr(value, "__module__", "").startswith("physcon")
    and not name.startswith("_")
}


def cited(*used):
    return {r.key for r in _citation.references() if r.entry in pc.citation(*used)}


def test_a_call_cites_its_sources_and_physcon():
    assert cited(pc.condition) == {"physcon", "hansen2023", "rasmussen2006"}
    assert cited(pc.condition, pc.operators.BoundaryFNO) >= {
        "hansen2023",
        "saad2023",
        "li2021",
    }
    assert cited(pc.fv.roe) == {
        "physcon",
        "roe1981",
        "harten1983entropy",
    }  # not Harten, Lax ...
    assert cited(pc.fv.hll) == {"physcon", "harten1983", "toro2009"}
    assert cited(pc.fv.MUSCL()) == cited(pc.fv.MUSCL)


def test_wrapped_functions_cite_what_they_wrap():
    wrapped = functools.partial(jax.jit(pc.conditioning.hard_c), throw=False)
    assert cited(wrapped) == {"physcon", "hansen2023"}


def test_what_names_no_source_cites_physcon_alone():
    assert cited(pc.sensors) == cited(len) == {"physcon"}


def test_all_of_it_without_arguments():
    assert cited() == {r.key for r in _citation.references()}
    assert repr(pc.citation()) == str(pc.citation())


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_every_source_of_a_public_name_is_in_the_list(name):
    """A new docstring with a "Source" needs its entry in references.bib."""
    if _citation.source(PUBLIC[name]):
        assert _citation.keys(PUBLIC[name])


def test_every_entry_is_whole_and_is_the_source_of_something():
    optional = ("torch", "_torch", "cli", "__main__")
    names = [m.name for m in pkgutil.walk_packages(pc.__path__, "physcon.")]
    modules = [
        importlib.import_module(n) for n in names if n.split(".")[1] not in optional
    ]
    things = [*modules, *(v for m in modules for v in vars(m).values() if callable(v))]
    ours = [
        t for t in things if getattr(t, "__module__", t.__name__).startswith("physcon")
    ]
    used = {key for thing in ours for key in _citation.keys(thing)}
    everything = [r.key for r in _citation.references()]
    assert len(set(everything)) == len(everything)
    assert set(everything) - {"physcon"} <= used
    for r in _citation.references():
        assert r.entry.count("{") == r.entry.count("}")
        assert r.key == "physcon" or {"title", "year"} <= set(
            r.entry.replace("=", " ").split()
        )
