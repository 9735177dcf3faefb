"""Transfer of weights to another network: a variant, or a video network made from an image network.

Both networks are written in the language, so the meaning of each tensor and of its axes is known. `pairs` matches
tensors by name, `channels` matches their channels, `plan` derives the steps that adapt a shape, and `apply` executes
them.
"""
