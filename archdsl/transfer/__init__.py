"""From the weights of one network to those of another: a variant of it, or the video network that it becomes.

Both are networks of the language, so what a tensor is, and what each of its axes stands for, is known: `pairs` finds
what each tensor begins from, `channels` which channels are which, `plan` the steps between the two shapes, and `apply`
takes them.
"""
