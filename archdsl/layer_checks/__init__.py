"""Numerical checks of added layers, for `archdsl layers check`. Needs torch."""
