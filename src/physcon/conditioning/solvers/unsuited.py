"""The error of a solver that was asked for by name and does not suit the law."""

from physcon.linear_map import LinearMap, Root


def unsuited(
    solver: str,
    operator: str,
    got: tuple[Root, LinearMap],
    remedy: str = "pass solver=None to have one chosen",
) -> ValueError:
    """The error for a solver that needs independent errors and one kind of operator.

    Args:
        operator: the operator that the solver needs, with an article.
        got: the root of the prior and the operator of the law.
    """
    root, found = (type(x).__name__ for x in got)
    return ValueError(
        f"expected independent errors (Diagonal) and {operator} for {solver}, got "
        f"{root} and {found}; {remedy}"
    )
