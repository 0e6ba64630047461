"""The BOON article: neural operators that meet their boundary conditions."""
