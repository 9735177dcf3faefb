"""Validity of names in a spec, which become attributes of modules, keys of a state dict and Python variables."""

from __future__ import annotations

from keyword import iskeyword

# Attributes of nn.Module, nn.Sequential and nn.ModuleDict, which a submodule must not shadow. A test compares the list
# with torch's classes.
_MODULE = frozenset(
    """
    T_destination add_module append apply bfloat16 buffers call_super_init children clear compile cpu cuda double
    dump_patches eval extend extra_repr float forward forward_features get_buffer get_extra_state get_parameter
    get_submodule half init_weights insert ipu items keys load_state_dict modules mtia named_buffers named_children
    named_modules named_parameters parameters pop register_backward_hook register_buffer register_forward_hook
    register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
    state_dict to to_empty train training type update values xpu zero_grad
    """.split()
)
# Names that generated code uses itself. A test compares the functions among them with the templates.
_CODE = frozenset(
    "torch nn F Tensor self cls super rearrange range int float tuple list dict str len enumerate isinstance max min "
    "sum zip annotations print open exec eval input spread_frames pad_same add_to_grid sinusoid distances stretched "
    "without_tokens put_beside put_grid multiply_grid rotary rotary_beside_token "
    "rotate Latents Attention BandedAttention PoolingAttention WindowAttention Band Pool HeadConv MaxPool "
    "RelativePositions Windows SpatialConv ShiftedWindows PaddedWindows PaddedShiftedWindows ClassToken Tokens "
    "Position TokenType DropPath ValueError Checkpointing Any Literal get_args checkpoint checkpointed nullcontext "
    "BuffersKept Alibi ContinuousPositions position_offsets".split()
)
_VARIABLES = frozenset("features module in_hand checkpointing run fitted inside_layers".split())
_OF_CHECKS = frozenset("t h w found".split())  # in the function that checks an input

_USED = "`{}` is used by the generated code itself"


def why_refused(name: str) -> str:
    """Return the reason why a stage, path, block or layer cannot have a name; empty if it can."""
    if name in _MODULE:
        return f"`{name}` belongs to torch's nn.Module"
    if name in _VARIABLES:
        return _USED.format(name)
    return why_no_parameter(name)


def why_no_parameter(name: str) -> str:
    """Return the reason why a parameter of a block, and so of a constructor, cannot have a name; empty if it can."""
    if name.startswith("_"):
        return f"`{name}`: a name begins with a letter"
    if iskeyword(name):
        return f"`{name}` is a word of Python"
    return _USED.format(name) if name in _CODE else ""


def why_no_input(name: str) -> str:
    """Return the reason why an input cannot have a name; empty if it can."""
    return _USED.format(name) if name in _OF_CHECKS else why_refused(name)
