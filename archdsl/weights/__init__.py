"""Published weights: maps between the names of other code bases and ours, and what moves tensors along them.

    text of a map ── parse ──▶ map ── bind (to the tensors of a network) ──▶ plan ── convert ──▶ state dict

`sources.py` finds the map for a spec and what its checkpoints need of the parameters. Up to the plan everything is
names and shapes; only `convert.py` and `checkpoint.py` need torch.
"""
