"""Published weights: maps between the tensor names of other code bases and ours, and the conversion of state dicts.

    text of a map ── parse ──▶ map ── bind (to the tensors of a network) ──▶ plan ── convert ──▶ state dict

`sources.py` finds the map for a spec, and the parameter values that its checkpoints need. Plans consist of names and
shapes; only `convert.py`, `checkpoint.py` and `reading.py` need torch.
"""
