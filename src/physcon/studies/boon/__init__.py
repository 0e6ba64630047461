"""The BOON article: neural operators that satisfy their boundary conditions."""

__all__: list[str] = []
