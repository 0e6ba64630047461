"""Packages that only some parts of physcon need, each behind an extra of its own."""


class needs:
    """`with needs("report"): import matplotlib` names the extra if it is missing.

    A `with` statement instead of a function, so that type checkers see the import.

    Raises:
        ImportError: the import inside failed because a package is not installed.
    """

    def __init__(self, extra: str):
        self.extra = extra

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if not isinstance(error, ModuleNotFoundError):
            return
        package = (error.name or "").partition(".")[0]
        if package != "physcon":
            raise ImportError(
                f"expected the package {package}, which is not installed; "
                f"run pip install 'physcon[{self.extra}]'"
            ) from error
