"""Random programs have every word of the language, so that whatever they are held against knows it, too."""

from __future__ import annotations

import re
from collections import Counter

import pytest
from programs import attention, odd_attention, program
from words import used, words

ENOUGH = 2  # programs: in one alone, what a word does may be lost behind it
# How statements and chains of each kind are found in a text.
CONSTRUCTS = {
    "arguments": [r": block\b", r": block = ", r": value", r"\bact = \w", r"as attention \{"],
    "chains": [r"residual \{", r"shortcut if ", r"shortcut \{", r"\bif on \{", r"else \{", r"\* \(", r" as \w+"],
    "frozen": [r"^stage \w+ frozen \{", r"^stage \w+ frozen if ", r"\} frozen ", r"frozen \{", r"frozen if .*\{"],
    "heads": [r"^head:", r"^head \w+:", r"^head dense \w+:"],
    "inputs": [rf"^input \w+: {kind}\[" for kind in ("video", "index", "vector", "spectrogram", "boxes", "mask")],
    "lines": [r"^ *qkv: ", r"^ *bias: ", r"^ *token_\w+: ", r"each_head \{", r"grid \{", r"^ *kv: tokens\("],
    "paths": [r"^path ", r"^drop path ", r"lateral .* by sum", r"lateral .* by product", r"lateral .* by max"],
    "shares": [r"share \w+ ", r"share \w+ \* 2", r"share \w+\(over = space\)"],
    "statements": [r"^arch .* extends ", r"^import ", r"^for .* in ", r"^let \w+\(", r"^recipe ", r"^param .* where "],
}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    """The programs of `test_programs` and `test_attentions`."""
    drawn = [draw(seed).text for draw in (program, attention) for seed in range(240)]
    return drawn + [odd_attention(seed).text for seed in range(120)]


def test_programs_have_every_word_of_the_layers(texts: list[str]) -> None:
    """Every layer, every option of it, and every word that an option takes."""
    found = Counter(word for text in texts for word in used([text]))
    assert {word: found[word] for word in words() if found[word] < ENOUGH} == {}


def test_programs_have_every_construct(texts: list[str]) -> None:
    patterns = [pattern for kind in CONSTRUCTS.values() for pattern in kind]
    found = {p: sum(bool(re.search(p, text, re.MULTILINE)) for text in texts) for p in patterns}
    assert {pattern: number for pattern, number in found.items() if number < ENOUGH} == {}


def test_what_a_text_uses() -> None:
    """By name or by position, with defaults left out."""
    assert used(["conv(8, [1, max(2, 3), 3], padding = [causal, half, 1]) -> mean { in, swap(space) }"]) == {
        *("conv", "conv.out", "conv.kernel", "conv.padding", "conv.padding = causal"),
        *("max", "mean", "swap", "swap.over", "swap.over = space"),
    }
    assert {"gelu.quick", "tokens.name = token", "shift.ends = repeat"} <= words()
