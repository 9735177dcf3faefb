"""Validity of names in a spec, which become attributes of modules, keys of a state dict and Python variables."""

from __future__ import annotations

from functools import cache
from keyword import iskeyword

from archdsl.resources import resource

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
# Names that generated code uses itself, besides those that the templates of layers declare.
_CODE = frozenset(
    "torch nn F Tensor self cls super rearrange range int float tuple list dict str len enumerate isinstance max min "
    "sum zip annotations print open exec eval input Band Pool RelativePositions Windows ShiftedWindows PaddedWindows "
    "PaddedShiftedWindows ValueError Checkpointing Any Literal get_args checkpoint checkpointed nullcontext "
    "BuffersKept".split()
)
_VARIABLES = frozenset("features module in_hand checkpointing run fitted inside_layers".split())
_OF_CHECKS = frozenset("t h w found batch".split())  # in the function that checks an input

_DECLARED = "{# defines: "  # begins a template that brings functions and classes along, and their names follow

_USED = "`{0}` is used by the generated code itself: write `my_{0}`"


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
    return _USED.format(name) if name in _CODE or name in _of_templates() else ""


def why_no_input(name: str) -> str:
    """Return the reason why an input cannot have a name; empty if it can."""
    return _USED.format(name) if name in _OF_CHECKS else why_refused(name)


def is_free_in_code(name: str) -> bool:
    """Return True if generated code has no function or module of a name, be it with a number behind."""
    return bool(name) and not why_no_parameter(name.rstrip("0123456789"))


def declared(template: str) -> list[str]:
    """Return the functions and classes that a template of a layer brings along, as its first line declares them."""
    return template[len(_DECLARED) :].partition(" #}")[0].split(", ") if template.startswith(_DECLARED) else []


@cache
def _of_templates() -> frozenset[str]:
    found: set[str] = set()
    for file in (resource("templates") / "layers").glob("*.py.j2"):
        with file.open(encoding="utf-8") as text:
            found.update(declared(text.readline()))
    return frozenset(found)
