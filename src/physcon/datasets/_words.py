"""Laws and spreads in words, for readers of a report."""

from typing import Any

from physcon.datasets._laws import (
    AnyLaw,
    Between,
    BlockMean,
    Budget,
    Laws,
    Order,
    Sum,
    Values,
    title,
)
from physcon.datasets._tidy import Term


def law_words(law: AnyLaw) -> str:
    """Return what a law says.

    >>> from physcon.datasets import Between, Mean
    >>> law_words(Mean("tos", 288.0))
    'mean of tos equals 288.0'
    >>> law_words(Between("pr", lower=0))
    'pr is at least 0'
    """
    if isinstance(law, Between):
        ends = [(law.lower, "at least"), (law.upper, "at most")]
        known = [f"{word} {end}" for end, word in ends if end is not None]
        return f"{law.of} is {' and '.join(known)}"
    if isinstance(law, Order):
        return f"{law.lesser} is at most {law.greater}"
    if isinstance(law, Values):
        return f"{law.of} equals {law.equals} where {law.where} is true"
    if isinstance(law, BlockMean):
        return f"block means of {law.of} equal {law.like}"
    if isinstance(law, Sum):
        return f"{_sum(law.of)} equals {law.equals}"
    if isinstance(law, Budget):
        left = f"{law.storage} changes by {_sum(law.inflow) or 'nothing'}"
        return f"{left} minus {_sum(law.outflow)}" if law.outflow else left
    return f"{title(law)} equals {law.equals}"


def lead_of(laws: Laws, *, spread: bool = True) -> list[str]:
    """Return sentences about laws and, if wanted, about the spread."""
    lead = ["Laws: " + "; ".join(law_words(law) for law in laws.laws) + "."]
    if spread:
        lead.append(f"Spread of the variables: {_spread(laws.spread)}.")
    return lead


def _sum(terms: tuple[Term, ...]) -> str:
    return " + ".join(
        term.of if term.times == 1 else f"{term.times} {term.of}" for term in terms
    )


def _spread(given: Any) -> str:
    if isinstance(given, dict) and "ensemble" not in given:
        return ", ".join(f"{name}: {_spread(entry)}" for name, entry in given.items())
    if isinstance(given, dict):
        return f"of the members along {given['ensemble']}"
    return str(given)
