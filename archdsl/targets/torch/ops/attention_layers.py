"""Operations of the layers in lines of an attention, each in a layout that its code takes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.core.grid import FRAME
from archdsl.layers.attention_lines import Origin
from archdsl.targets.torch.ops.attention_layouts import (
    ALONE,
    BY_HEAD,
    CHANNELS_FIRST,
    EACH,
    EACH_ALONE,
    FIRST,
    FRAMES,
    IN_ROWS,
    LAST,
    OF_FRAMES,
    ROW_FIRST,
    ROW_LAST,
    ROWS,
    Layout,
)  # fmt: skip
from archdsl.targets.torch.ops.attention_products import ProductSteps, sees_heads
from archdsl.targets.torch.ops.layouts import CHANNELS_LAST, GRID, TOKENS, VECTOR

if TYPE_CHECKING:
    from archdsl.layers.attention_lines import Application
    from archdsl.targets.torch.ops.base import Op


class LayerSteps(ProductSteps):
    """A list of operations in the making: layers of lines, whose inputs it brings into their layouts."""

    def measure(self, value: int) -> None:
        """Add the sizes of a grid."""
        none = Layout("")
        first = 2 if self.layouts[value].order == FIRST else 1
        self.measured = self.add("sizes", [value], none, none, none, names="thw", first=first)

    def count_frames(self, value: int) -> None:
        """Add the number of frames, which are clips to attention."""
        self.frames = self.add("frames", [value], Layout(""), names=("frames",))[0]

    def apply(self, number: int) -> None:
        """Add the operations of a layer."""
        application, op = self.lines.applications[number], self.ops[number]
        if self.layer.is_idle(application):
            self.values |= {Origin(number): self.values[application.inputs[0][0]]}
            return
        values, beside = self._given(application, op), bool(application.tokens) and not op.for_heads
        has_tokens = [bool(x.tokens) for x in application.shapes]
        first = max(application.carrier, 0) if beside else has_tokens.index(any(has_tokens))
        layout = self.layouts[values[first]]
        if beside and application.carrier < 0:
            layout = layout._replace(token=-1)
        result = layout._replace(stack=application.stack, order=self._order_of_result(application, op, layout))
        [value] = self.add("", values, result, application=number)
        if result.order in (ALONE, EACH_ALONE):
            value = self.turn(value, EACH[0] if result.order == EACH_ALONE else LAST, apart=layout.apart, beside=beside)
        if application.stack > 1:
            self._part(number, value)
        else:
            self.values[Origin(number)] = value

    def _given(self, application: Application, op: Op[Any]) -> list[int]:
        """Return the inputs of a layer in the layouts that it takes."""
        beside = bool(application.tokens) and not op.for_heads
        operands = [self._operand(application, i, beside=beside) for i in range(len(application.shapes))]
        if self.lines.applications.index(application) in self.rows[:1]:
            value = self.turn(operands[0], ROWS, apart=self.layouts[operands[0]].apart)
            operands = self.add("rows_of_token", [value], self.layouts[value])
        if op.for_heads:
            return [self.turn(v, ROWS if application.tokens else LAST) for v in operands]
        if not beside:
            operands = [self.join_token(v) for v in operands]
        tokens = [bool(x.tokens) for x in application.shapes]  # a grid is added to the positions beside a class token
        main = [value for value, has_tokens in zip(operands, tokens, strict=True) if has_tokens == any(tokens)]
        order, apart = self._order(application, op, main)
        order = self._as_owner(application, order)
        other = EACH[0] if order in EACH else LAST
        orders = [order if any(tokens) == one or beside else other for one in tokens]
        few = application.by_head and application.heads != int(self.layer.heads)
        few = few or any(self.layouts[value].few for value in main)
        return [self.turn(v, o, apart=apart, few=few, beside=beside) for v, o in zip(operands, orders, strict=True)]

    def _order(self, application: Application, op: Op[Any], operands: list[int]) -> tuple[str, bool]:
        """Return the layout that a layer works in: that of its first input, if it and the other inputs can."""
        order, apart = self.layouts[operands[0]].order, self.layouts[operands[0]].apart
        in_rows = any(self.layouts[value].order in IN_ROWS for value in operands)
        if application.layer.elementwise:
            order = self._common_order(operands)
            if len({x.channels for x in application.shapes}) == 1:
                return order, apart
            by_head = application.by_head  # channels of 1 are one for each head, or one for all of them
            whole = {each: one for one, each in BY_HEAD.items()}
            return order if by_head else whole.get(order, order), by_head
        rows = FRAMES if any(self.layouts[value].order in OF_FRAMES for value in operands) else ROWS
        by_head = sees_heads(application)
        takes_heads = by_head and (TOKENS if in_rows else CHANNELS_LAST) in op.accepted_layouts
        if takes_heads and (order in EACH or not application.is_by_position()):
            return BY_HEAD[rows if in_rows else LAST], True
        if (self.flat or in_rows) and TOKENS in op.accepted_layouts and not application.tokens:
            return rows, by_head
        orders = (ROW_LAST, ROW_FIRST) if in_rows else (LAST, FIRST)
        return orders[CHANNELS_LAST not in op.accepted_layouts], by_head

    def _as_owner(self, application: Application, order: str) -> str:
        """Return the order of a layer; of one that has another's module, with channels where that has them."""
        is_first = self.channels_first.setdefault(application.name, order in CHANNELS_FIRST)
        if application.owner is None or is_first == (order in CHANNELS_FIRST):
            return order
        return {True: (FIRST, ROW_FIRST), False: (LAST, ROW_LAST)}[is_first][order in IN_ROWS]

    def _common_order(self, values: list[int]) -> str:
        """Return the order of the first of several values, or a row if another one is a row."""
        orders = [self.layouts[value].order for value in values]
        if orders[0] not in IN_ROWS and any(order in IN_ROWS for order in orders):
            return EACH[1] if orders[0] in EACH else ROWS
        return orders[0]

    def _order_of_result(self, application: Application, op: Op[Any], layout: Layout) -> str:
        rows = FRAMES if application.shape.token == FRAME else ROWS
        is_row = layout.order in (ROW_LAST, ROW_FIRST)
        orders = {CHANNELS_LAST: (LAST, ROW_LAST)[is_row], GRID: (FIRST, ROW_FIRST)[is_row], TOKENS: rows}
        found = {**orders, VECTOR: ALONE}[op.output_layout(layout.taken_as)]
        return BY_HEAD[found] if layout.order in EACH else found

    def _operand(self, application: Application, index: int, *, beside: bool) -> int:
        """Return an input of a layer, in one tensor; `beside` lets tokens go by."""
        origins, x = tuple(part[index] for part in application.inputs), application.shapes[index]
        tokens = [self._tokens(o) for o in origins] if beside else []
        if len(set(tokens)) > 1:  # go by in parts
            values = [self.part_token(self.values[o], x, t) for o, t in zip(origins, tokens, strict=True)]
            grids = [self.turn(v, LAST, beside=True) for v in values]
            self.beside[application.name] = [self.layouts[v].token for v in grids]
            return self.add("stacked", grids, Layout(LAST, stack=len(grids)), copies=True)[0]
        if len(origins) > 1 and origins not in self.joined:
            values = [self.join_token(self.values[o]) for o in origins]
            order = self._common_order(values)
            order = {FIRST: LAST, ROW_FIRST: ROWS, ROW_LAST: ROWS}.get(order, order)
            few = any(self.layouts[v].few for v in values)
            values = [self.turn(v, order, apart=order in EACH, few=few) for v in values]
            stacked = self.layouts[values[0]]._replace(stack=len(values))
            self.joined[origins] = self.add("stacked", values, stacked, copies=True)[0]
        value = self.values[origins[0]] if len(origins) == 1 else self.joined[origins]
        return self.part_token(value, x, tokens[0]) if tokens else value
