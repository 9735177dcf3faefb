"""HTML-like labels of the boxes and frames of a diagram, its title and its legend."""

from __future__ import annotations

from typing import TYPE_CHECKING

from archdsl.analysis.cost import Cost, total_cost
from archdsl.targets.dot.marks import mark_cell, mark_text
from archdsl.targets.dot.style import (
    COLOURS,
    DASHED,
    LINE,
    SOFT,
    bold,
    colour,
    figures,
    layer_text,
    markup,
    multiply_adds,
    parameters,
    shape_text,
    small,
    wrapped,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from archdsl.ir.network import Network
    from archdsl.targets.dot.boxes import Box, Boxes, Frame
    from archdsl.targets.dot.marks import Marks

LEGEND_COLUMNS = 5
SLACK = "&#160;" * 3  # room for wider letters, if the viewer substitutes the font


def box_label(network: Network, boxes: Boxes, box: Box, marks: Marks) -> str:
    """Return the label of a box: lines of text, or the table of a stack."""
    if box.look == "stack":
        return _stack(network, boxes, box, marks)
    word = mark_text(marks.box(box))
    if box.look == "merge":
        return f"<{' '.join(filter(None, (markup(box.title), word)))}>"
    if box.look == "input":
        return f"<{'<br/>'.join(filter(None, (bold(box.title), small('input'), word)))}>"
    title = _times(box.title, box.count)
    parts = wrapped(box.parts) if box.chain else wrapped(box.parts, ", ")
    lines = [bold(box.above), *([markup(title)] if box.above and title else [bold(title)])]
    lines += [markup(p) for p in parts]
    lines.append(small(_total(boxes.cost(box.nodes), box.count)))
    return "<" + "<br/>".join(line for line in (*lines, word) if line) + ">"


def frame_label(boxes: Boxes, frame: Frame) -> str:
    """Return the title of a frame, with the cost of the layers inside."""
    title = _times(frame.title, frame.count)
    if not title:
        return ""
    numbers = figures(boxes.cost(frame.nodes))
    if numbers and frame.count > 1:
        numbers += " each"
    if frame.kind == "lane":
        return f"<{bold(title)}>"
    text = bold(frame.above or title) + ("&#160;&#160;" + markup(title) if frame.above else "")
    if frame.kind == "block":
        text = markup(title)
    return f"<{text}{'&#160;&#160;' + small(numbers) if numbers else ''}>"


def title_label(network: Network, categories: Sequence[str], side: str = "") -> str:
    """Return the diagram's title: name, size, input shape, legend; `side` labels one of two networks side by side."""
    cost = total_cost(network)
    clips = ", ".join(shape_text(network.node(n).shape) for n in network.clips.values())
    size = f"{parameters(cost.params)} parameters · {multiply_adds(cost.macs)} multiply-adds · input {clips}"
    which = f'<font point-size="10" color="{SOFT}">{markup(side)}</font>&#160;&#160;' if side else ""
    rows = [
        f'<tr><td>{which}<font point-size="15">{bold(network.name)}</font></td></tr>',
        f'<tr><td><font point-size="10">{markup(size)}</font></td></tr>',
        *([] if side else [f"<tr><td>{legend(categories)}</td></tr>"]),
    ]
    return f'<<table border="0" cellborder="0" cellspacing="1" cellpadding="1">{"".join(rows)}</table>>'


def legend(categories: Sequence[str]) -> str:
    """Return a table of the categories and their colours."""
    known = [c for c in COLOURS if c in categories and c != "input"]
    ordered = known + [c for c in dict.fromkeys(categories) if c not in COLOURS]
    cells = [
        f'<td border="1" color="{LINE}" bgcolor="{colour(c)}"{_dashes(c)}><font point-size="9">{markup(c)}</font></td>'
        for c in ordered
    ]
    lines = [cells[i : i + LEGEND_COLUMNS] for i in range(0, len(cells), LEGEND_COLUMNS)]
    rows = "".join(f"<tr>{''.join(line)}</tr>" for line in lines)
    return (
        f'<table align="center" border="0" cellborder="1" cellspacing="4" cellpadding="2">{rows}</table>'
        if rows
        else ""
    )


def _dashes(category: str) -> str:
    return ' style="dashed"' if category in DASHED else ""


def _times(title: str, count: int) -> str:
    return f"{title} ×{count}".strip() if count > 1 else title


def _total(cost: Cost, count: int) -> str:
    return figures(Cost(cost.params * count, cost.macs * count))


def _stack(network: Network, boxes: Boxes, box: Box, marks: Marks) -> str:
    title = _times(box.title, box.count)
    above = "&#160;&#160;".join([bold(t) for t in (box.above,) if t] + [markup(t) for t in (title,) if t])
    rows = [f'<tr><td colspan="2" bgcolor="#ffffff" color="{LINE}" align="left">{above}</td></tr>'] if above else []
    for number in box.nodes:
        node = network.node(number)
        text = markup(layer_text(node.layer, settings=number not in boxes.varying)) + SLACK
        mark = marks.layer(node)
        text += mark_text(mark) + SLACK if mark else ""
        look = f'bgcolor="{colour(node.layer.category)}" {mark_cell(mark, _dashes(node.layer.category))}'
        numbers = small(figures(boxes.cost([number])))
        if numbers:
            rows.append(
                f'<tr><td {look} sides="LTB" align="left">{text}</td>'
                f'<td {look} sides="TRB" align="right">{numbers}</td></tr>'
            )
        else:
            rows.append(f'<tr><td {look} colspan="2" align="left">{text}</td></tr>')
    table = 'border="0" cellborder="1" cellspacing="0" cellpadding="2"'
    return f'<<font point-size="10"><table {table}>{"".join(rows)}</table></font>>'
