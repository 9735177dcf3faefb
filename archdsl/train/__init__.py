"""Training on videos: what `archdsl train`, `eval`, `predict`, `export` and `data` do. Needs the extra `train`."""
