"""Changes to the public interface that old programs survive for one minor release."""

import inspect
import warnings
from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])


def accepts_old_positions(fn: F) -> F:
    """Decorator: keyword-only arguments are still accepted by their old positions.

    They must follow the positional arguments in their old order. A `DeprecationWarning`
    names the keywords to write instead.
    """
    parameters = inspect.signature(fn).parameters.values()
    positional = sum(p.kind is p.POSITIONAL_OR_KEYWORD for p in parameters)
    keywords = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]

    @wraps(fn)
    def call(*args: Any, **options: Any) -> Any:
        moved = dict(zip(keywords, args[positional:], strict=False))
        if not moved or len(args) > positional + len(keywords):
            return fn(*args, **options)
        words = ", ".join(f"{name}=..." for name in moved)
        warnings.warn(
            f"{fn.__name__}: pass {words} by keyword; the next minor release no longer "
            "accepts these arguments by position",
            DeprecationWarning,
            stacklevel=2,
        )
        return fn(*args[:positional], **moved, **options)

    return call  # type: ignore[return-value]
