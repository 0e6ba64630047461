"""BibTeX of the methods that a call used, found by the sources that their docstrings
name.
"""

import inspect
import re
import sys
from functools import lru_cache, partial
from importlib.resources import files
from typing import Any, NamedTuple


class BibTeX(str):
    """Text that a prompt shows as it is, line by line."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class Reference(NamedTuple):
    """An entry of references.bib."""

    key: str
    families: tuple[str, ...]
    year: str
    entry: str

    def named_in(self, clause: str) -> bool:
        """Whether a clause names the first two authors it can, and the year."""
        first, *others = (
            re.search(rf"(?<!\w){f}\b", clause) for f in self.families[:2]
        )
        # "Harten et al. (1983)" and "Harten (1983)" name the first author alone.
        alone = re.search(rf"(?<!\w){self.families[0]}( et al\.|,? \(?\d)", clause)
        year = re.search(rf"\b{self.year}\b", clause) if self.year else None
        return bool(first and year and (alone or all(others)))


def citation(*used: Any) -> BibTeX:
    """BibTeX of physcon and of the methods behind what was called; of all without
    arguments.

        print(physcon.citation(physcon.condition, physcon.operators.BoundaryFNO))

    Args:
        used: functions, classes, instances and modules of physcon, or
            `functools.partial` and `jax.jit` of them. What they cite is what the
            "Source" of their docstring names; for a class, of its methods' as well; and
            if there is none, the source of their module.

    >>> import physcon
    >>> print(citation(physcon.condition).count("@"))  # physcon, an article, a textbook
    3
    """
    if not used:
        return BibTeX("\n\n".join(r.entry for r in references()))
    cited = {key for thing in used for key in keys(thing)}
    return BibTeX(
        "\n\n".join(r.entry for r in references() if r.key in {"physcon", *cited})
    )


def keys(thing: Any) -> list[str]:
    """The keys in references.bib that a thing's sources name by family and year."""
    clauses = source(thing).split(";")
    return [
        r.key for r in references() if any(r.named_in(clause) for clause in clauses)
    ]


def source(thing: Any) -> str:
    """The "Source" paragraphs of a docstring; empty if neither it nor its module has
    one.
    """
    while isinstance(thing, partial):
        thing = thing.func
    thing = inspect.unwrap(thing) if callable(thing) else thing
    if not (
        inspect.isroutine(thing) or inspect.isclass(thing) or inspect.ismodule(thing)
    ):
        thing = type(thing)
    texts = [thing.__doc__]
    if inspect.isclass(thing):
        texts += [getattr(method, "__doc__", None) for method in vars(thing).values()]
    found = _paragraphs(texts)
    if found or inspect.ismodule(thing):
        return found
    return _paragraphs([sys.modules[thing.__module__].__doc__])


@lru_cache
def references() -> tuple[Reference, ...]:
    """All entries of references.bib, physcon's own first."""
    text = (files("physcon") / "references.bib").read_text(encoding="utf-8")
    out = []
    for entry in re.split(r"\n(?=@)", text.strip()):
        (key,) = re.findall(r"^@\w+\{([^,]+),", entry)
        (author,) = re.findall(r"author\s*=\s*\{(.*)\},", entry)
        year = re.findall(r"year\s*=\s*\{(\d+)\}", entry)
        families = tuple(a.partition(",")[0] for a in author.split(" and "))
        out.append(Reference(key, families, "".join(year), entry.strip()))
    return tuple(out)


def _paragraphs(texts: list[str | None]) -> str:
    found = re.findall(
        r"Source:\s+(.*?)(?:\n\s*\n|\Z)", "\n\n".join(t or "" for t in texts), re.S
    )
    return "; ".join(" ".join(paragraph.split()) for paragraph in found)
