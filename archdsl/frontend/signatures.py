"""Parameters of layers in PyTorch and Keras, with the attributes that they are here."""

from __future__ import annotations

from typing import NamedTuple


class Signature(NamedTuple):
    """A layer's parameters in PyTorch, in order, each with the attribute here behind `=` if there is one."""

    layer: str
    parameters: str
    unnamed: int = 0  # attributes that are written without their names


_POOL = "kernel_size=kernel stride=stride padding=padding"
_MAXPOOL = f"{_POOL} dilation return_indices ceil_mode=ceil"
_AVGPOOL = f"{_POOL} ceil_mode=ceil count_include_pad=count_padding divisor_override"
# By names as `plain` returns them.
SIGNATURES = {
    "conv": Signature(
        "conv", "in_channels out_channels=out kernel_size=kernel stride=stride padding=padding "
        "dilation=dilation groups=groups bias=bias padding_mode", 2,
    ),
    "linear": Signature("linear", "in_features out_features=out bias=bias", 1),
    "batchnorm": Signature("bn", "num_features eps=eps momentum=momentum affine track_running_stats"),
    "layernorm": Signature("layernorm", "normalized_shape eps=eps"),
    "rmsnorm": Signature("rmsnorm", "normalized_shape eps=eps elementwise_affine"),
    "relu": Signature("relu", "inplace"),
    "gelu": Signature("gelu", "approximate"),
    "dropout": Signature("dropout", "p=p inplace", 1),
    "maxpool": Signature("maxpool", _MAXPOOL, 1),
    "avgpool": Signature("avgpool", _AVGPOOL, 1),
    "adaptiveavgpool": Signature("avgpool", "output_size"),
    "multiheadattention": Signature("attention", "embed_dim num_heads=heads dropout=dropout bias=bias", 1),
}  # fmt: skip
OWN = {s.layer for s in SIGNATURES.values()}

# Keras: layers and parameters by the names that PyTorch has for them.
ALIASES = {
    "dense": "linear", "batchnormalization": "batchnorm", "layernormalization": "layernorm",
    "rmsnormalization": "rmsnorm", "maxpooling": "maxpool", "averagepooling": "avgpool",
    "globalaveragepooling": "adaptiveavgpool",
}  # fmt: skip
SPELLINGS = {
    "filters": "out_channels", "units": "out_features", "strides": "stride", "pool_size": "kernel_size",
    "use_bias": "bias", "rate": "p", "dilation_rate": "dilation",
}  # fmt: skip
# Arguments that change nothing of what a layer computes here.
WITHOUT_EFFECT = {
    "name", "input_shape", "data_format", "dtype", "device", "kernel_initializer", "bias_initializer",
}  # fmt: skip
