"""The commands of `archdsl`, one module each.

A module of a command has

    arguments(parser)   declares the command's arguments
    Options             a frozen record of their values, with the names that `arguments` declares
    run(options)        runs the command, and returns the exit code
    EXAMPLES            two calls with their descriptions, for the end of the help

and is imported only when the command is called. `archdsl --help` shows the table below.
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
        "fmt": "Format specs in place.",
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
        "report": "Compare training runs: settings that differ, epochs, best epoch, speed.",
        "data check": "Read every video of a dataset and report those that cannot be used.",
        "data prepare": "Write a copy of a folder of videos that is fast to read.",
    },
    "weights": {
        "weights sources": "List the sources of published checkpoints for a spec.",
        "weights convert": "Convert a checkpoint to the tensor names of another code base.",
        "weights plan": "Show how each tensor of a variant is initialised from a base network.",
        "weights transfer": "Write the weights of a variant, initialised from a base network.",
    },
    "layers": {
        "layers": "List the layers of the language, or show one with its attributes.",
        "layers check": "Test layers of your own against their declarations.",
    },
    "help": {
        "help": "Show the help of a command.",
        "explain": "Explain an error code and how to fix the error.",
        "completion": "Print a script that completes commands and options in a shell.",
    },
}
SUMMARIES = {name: summary for group in GROUPS.values() for name, summary in group.items()}
FAMILIES = {
    "data": "Inspect and prepare videos before training on them.",
    "weights": "Convert checkpoints of other code bases, and initialise variants.",
}
