"""The commands of `archdsl`: each is a module that owns its arguments, its options and what it does.

Such a module has

    arguments(parser)   declares what the command takes
    Options             a frozen record of what the user gave, with the names that `arguments` declares
    run(options)        does it, and returns the exit code
    EXAMPLES            two calls, each with what it does, for the end of the help

and is imported only when it is called. This table is what `archdsl --help` shows of them.
"""

from __future__ import annotations

GROUPS: dict[str, dict[str, str]] = {
    "specs": {
        "list": "List the bundled specs.",
        "show": "Print the text of a spec.",
        "new": "Write a spec to start from.",
        "check": "Report every error in specs.",
        "cost": "Count parameters, multiply-adds (FLOPs / 2) and activations.",
        "draw": "Draw the network as a diagram.",
        "diff": "Compare two networks: parameters, stages, layers, tensors, cost.",
        "fmt": "Format specs canonically.",
    },
    "modules": {
        "compile": "Write the PyTorch module of each spec.",
        "export": "Export a module for inference (ONNX or torch.export).",
    },
    "training": {
        "plan": "Predict memory, batch size and time of training on given GPUs.",
        "train": "Train the module of a spec on videos.",
        "eval": "Evaluate a trained module on videos, with several views of each.",
        "predict": "Classify videos with a trained module.",
        "data check": "Read every video of a dataset and report those that cannot be used.",
    },
    "weights": {
        "weights sources": "List the published checkpoints that fit a spec.",
        "weights convert": "Convert a checkpoint to the tensor names of another code base.",
        "weights plan": "Show how each tensor of a variant is made from those of a base network.",
        "weights transfer": "Write the weights of a variant, made from those of a base network.",
    },
    "layers": {
        "layers": "List the layers of the language, or show one with its attributes.",
        "layers check": "Test layers of your own against what they declare.",
    },
    "help": {
        "help": "Show the help of a command.",
        "explain": "Explain an error code and how to fix the error.",
        "completion": "Print a script that completes commands and options in a shell.",
    },
}
SUMMARIES = {name: summary for group in GROUPS.values() for name, summary in group.items()}
FAMILIES = {
    "data": "Inspect videos before training on them.",
    "weights": "Load checkpoints of other code bases, and make the weights of variants.",
}
