"""Random programs in the language: from one seed a whole spec, the libraries it imports and the base it extends."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from programs.draw import Draw
from programs.lines import attention_program, with_blocks
from programs.odd_lines import odd_program
from programs.spec import Specs
from programs.variants import Variants

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Program:
    """Texts by the name of their file: the spec, and what it imports and extends."""

    name: str
    texts: dict[str, str] = field(default_factory=dict[str, str])
    base: str | None = None

    @property
    def text(self) -> str:
        """All files in one text, as a case in `cases/` holds them."""
        others = "".join(f"# file: {name}.arch\n{text}" for name, text in self.texts.items() if name != self.name)
        return self.texts[self.name] + others


def program(seed: int, without: Sequence[str] = ()) -> Program:
    """The program of a seed."""
    draw = Draw(seed, without)
    specs = Specs(draw)
    spec = specs.drawn()
    texts = {name: with_blocks("\n".join(lines) + "\n") for name, lines in spec.libraries.items()}
    texts = {"net": with_blocks(spec.text)} | texts
    if not draw.has("variant", 0.25):
        return Program("net", texts)
    texts["other"] = with_blocks(Variants(specs).drawn("other", "net"))
    if draw.has("variant_of_variant", 0.1):
        texts["third"] = with_blocks(Variants(specs).drawn("third", "other"))
        return Program("third", texts, "other")
    return Program("other", texts, "net")


def attention(seed: int, without: Sequence[str] = ()) -> Program:
    """The program of a seed that is one attention in lines."""
    return Program("net", {"net": attention_program(seed, without)})


def odd_attention(seed: int, without: Sequence[str] = ()) -> Program:
    """The program of a seed that is one attention as nobody would write it."""
    return Program("net", {"net": odd_program(seed, without)})
