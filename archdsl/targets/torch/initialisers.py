"""The code of each initialiser of the language."""

from __future__ import annotations

TORCHS_OWN = "uniform"  # what the constructors of linear layers and convolutions do: no statement
# Statements, in which {0} is the tensor and {1} the standard deviation or the constant.
CODE = {
    "msra": 'nn.init.kaiming_normal_({0}, mode="fan_out", nonlinearity="relu")',
    "msra_transposed": 'nn.init.kaiming_normal_({0}, mode="fan_in", nonlinearity="relu")',  # outputs stand second
    "xavier": "nn.init.xavier_uniform_({0})",
    "zeros": "nn.init.zeros_({0})",
    "normal": "nn.init.normal_({0}, std={1})",
    "trunc_normal": "nn.init.trunc_normal_({0}, std={1})",
    "central_frame": "nn.init.zeros_({0})\nnn.init.trunc_normal_({0}[:, :, {0}.shape[2] // 2], std={1})",
    "averaged_frames": (
        "nn.init.trunc_normal_({0}[:, :, :1], std={1})\n"
        "with torch.no_grad():\n    {0}.copy_({0}[:, :, :1] / {0}.shape[2])"
    ),
    "constant": "nn.init.constant_({0}, {1})",
}
