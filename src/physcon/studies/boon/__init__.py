"""The BOON article: neural operators that satisfy their boundary conditions."""
