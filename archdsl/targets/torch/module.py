"""A whole module: header, docstring with the stage table, classes, model, factory."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, NamedTuple

from archdsl.analysis.cost import CONVENTION, cost_rows, total_cost
from archdsl.core.grid import grid_text
from archdsl.core.table import aligned
from archdsl.targets.python.printer import lines, module_text
from archdsl.targets.python.tree import Assign, Docstring, Items, Literal, Module, Name, Stmt, Verbatim, reads
from archdsl.targets.torch.checks import clip_checks
from archdsl.targets.torch.class_count import mark_class_count
from archdsl.targets.torch.class_names import name_classes
from archdsl.targets.torch.classes import Grouping
from archdsl.targets.torch.factory import Rates, factory
from archdsl.targets.torch.folding import folding_rules
from archdsl.targets.torch.fragments import Fragments
from archdsl.targets.torch.imports import CHECKPOINT, FOLDING, bound, import_blocks, packages
from archdsl.targets.torch.init import init_statements, inner_statements
from archdsl.targets.torch.layers import LayerPrinter
from archdsl.targets.torch.model import ModelPrinter
from archdsl.targets.torch.model_class import Model
from archdsl.targets.torch.recompute import recompute
from archdsl.targets.torch.region import RegionPrinter
from archdsl.targets.torch.text import in_words, paragraph, plain, sentence
from archdsl.targets.torch.tracing import untraced

if TYPE_CHECKING:
    from archdsl.ir.network import Network
    from archdsl.targets.torch.select import OpNetwork

_WIDTH = 84
_FOLDED = "# How the name of a batch norm ends, and that of the convolution it became part of; its ε."
_FOR_INFERENCE = "For inference: what only training needs is left out; `load_state_dict` takes the weights of training."


class Origin(NamedTuple):
    """The origin of a module."""

    spec: str  # its file name
    digest: str  # the sha256 of its file
    command: str  # what makes this text


def generate(network: Network, lowered: OpNetwork, origin: Origin, *, trains: bool = True) -> str:
    """Return the module's text.

    `network` gives the figures of the docstring, `lowered` the code; `trains` is whether the module can be trained.
    """
    layers = LayerPrinter()
    fragments = Fragments(layers.environment)
    grouping = Grouping(lowered)
    defined = layers.defined(lowered.all_nodes())
    imported = {bound(line) for node in lowered.all_nodes() for line in node.op.imports}
    name_classes(grouping, {network.family, network.name, *defined, *imported})
    layers.support.taken = {network.family, network.name, *(group.name for group in grouping.groups), *fragments.names}
    layers.support.taken |= {f"check_{name}" for name in network.arguments}
    classes_given = mark_class_count(lowered, grouping)
    regions = RegionPrinter(lowered, grouping, layers)
    classes = [regions.plan(group) for group in grouping.groups]
    plan = ModelPrinter(lowered, regions, layers, trains=trains).plan()
    inner = inner_statements(lowered, grouping) if trains else []
    again = recompute(lowered, plan, fragments)
    rates = Rates(lowered)
    model = Model(
        network,
        plan,
        fragments,
        again,
        init=init_statements(lowered, grouping, layers.renamed, has_inner=bool(inner)) if trains else [],
        inner=inner,
        trains=trains,
        classes=classes_given,
        has_rates=bool(rates),
        is_channels_last=not trains and any(n.op.puts_channels_last for n in lowered.all_nodes()),
        is_folded=bool(lowered.folded),
    )
    definitions: list[Stmt] = [*layers.support.statements(), *(c.tree() for c in classes), model.tree()]
    definitions += _folding(network, lowered, fragments)
    definitions += again.definitions() if again is not None else []
    definitions += [fragments("frame_numbers")] if network.indices else []
    definitions += [fragments(name.lstrip("_")) for name in plan.features.functions]
    definitions += clip_checks(network, origin.spec, fragments)
    if network.name != network.family:
        definitions.append(factory(network, rates, model.parameters, fragments, has_inner=bool(inner)))
    used = layers.names | {n for s in model.init for n in reads(s)}
    used |= {"torch"} | (again.names if again is not None else set())
    imports = ["from torch import Tensor", "from torch import nn"]
    imports += [line for line in ("import torch", CHECKPOINT, *layers.imports) if bound(line) in used]
    imports += again.imports if again is not None else FOLDING if lowered.folded else []
    blocks = import_blocks(imports)
    head: list[Stmt] = [
        Docstring(_docstring(network, packages(blocks), trains=trains)),
        Verbatim("from __future__ import annotations"),
        *(Verbatim("\n".join(block)) for block in blocks),
        Verbatim("\n".join(untraced(definitions, blocks[-1]))),
        *([again.choices()] if again is not None else []),
    ]
    body = module_text(Module(head, definitions))
    return f"{_header(origin, body)}{body}"


def _folding(network: Network, lowered: OpNetwork, fragments: Fragments) -> list[Stmt]:
    """Return what makes weights for inference of those of training; nothing if no batch norm became another's part."""
    rules = folding_rules(network, lowered.folded)
    if not rules:
        return []
    rows = [Items([Literal(f'"{norm}"'), Literal(f'"{conv}"'), Literal(eps)]) for norm, conv, eps in rules]
    table = "\n".join([_FOLDED, *lines([Assign([Name("FOLDED")], Items(rows))])])
    return [Verbatim(table), fragments("fold")]


def _header(origin: Origin, body: str) -> str:
    made = hashlib.sha256(body.encode()).hexdigest()
    return (
        "# Generated by archdsl. To change the network, change its spec and run again\n"
        f"#     {plain(origin.command)}\n"
        f"# spec sha256 {origin.digest}\n"
        f"# text sha256 {made}\n"
    )


def unedited(text: str) -> bool | None:
    """Tell whether a file is as archdsl wrote it; None if archdsl did not write it."""
    head, mark, rest = text.partition("\n# text sha256 ")
    if not mark or not head.startswith("# Generated by archdsl. "):
        return None
    digest, _, body = rest.partition("\n")
    return hashlib.sha256(body.encode()).hexdigest() == digest


def _docstring(network: Network, needed: list[str], *, trains: bool) -> list[str]:
    found = paragraph(sentence(network.doc or network.name), _WIDTH)
    for citation in network.citations:
        found += ["", *paragraph(citation, _WIDTH)]
    found += ["", *_stage_table(network), ""]
    found += paragraph(f"Outputs are channels × frames × height × width for {_clips(network)}. {CONVENTION}", _WIDTH)
    if not trains:
        found += ["", *paragraph(_FOR_INFERENCE, _WIDTH)]
    found += ["", f"B clips, C channels, T frames, H × W positions. Needs {in_words(needed)}.", ""]
    return found


def _clips(network: Network) -> str:
    shapes = [str(network.node(n).shape) for n in network.clips.values()]
    return f"a clip of {shapes[0]}" if len(shapes) == 1 else f"clips of {' and '.join(shapes)}"


def _stage_table(network: Network) -> list[str]:
    total = total_cost(network)
    rows = [("stage", "path", "output", "parameters", "multiply-adds")]
    for row in cost_rows(network):
        shape = f"{row.shape[0]}×{grid_text(row.shape[1:])}"
        rows.append((row.name, row.path, shape, f"{row.cost.params:,}", f"{row.cost.macs:,}"))
    rows.append(("total", "", "", f"{total.params:,}", f"{total.macs:,}"))
    if not any(r[1] for r in rows[1:]):
        rows = [(r[0], *r[2:]) for r in rows]
    return [f"    {line}" for line in aligned(rows, numbers=2)]
