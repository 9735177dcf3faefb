"""How torch writes, runs and remembers layers: one file for each layer that the default does not fit."""
