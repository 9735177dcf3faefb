"""Habits of other languages: each is reported at its character, with the way to write it here."""

from __future__ import annotations

import random

import pytest

from archdsl.core.diagnostics import Diagnostic, SpecError
from archdsl.core.source import Source
from archdsl.frontend.habits import FORMS, STATEMENTS
from archdsl.frontend.parse import parse, parser

# A spec, with «» around the characters that the message points at, and a part of the message's help.
TOLD = [
    ("arch n\nparam a = 4 «b» = 3", "write `4, b`"),
    ("arch n\nparam a = [1 «2»]", "write `1, 2`"),
    ("arch n\nstage s { conv(64 «3») }", "write `64, 3`"),
    ("arch n\nblock b(w «stride» = 1) { conv(w) }", "write `w, stride`"),
    ("arch n\nparam a = 4\nif a «=» 4 { stage s { conv(8) } }", "`==` compares"),
    ("arch n\nparam a = 4 where a «=» 4", "`==` compares"),
    ("arch n\nparam a «==» 4", "`=` gives a name its value"),
    ("arch n\nstage s { conv(8) «=>» relu }", "layers are joined by `->`"),
    ("arch n\nstage s { lateral a «->» b: conv(8) }", "`lateral FROM => TO: CHAIN`"),
    ("arch n\n«//» the width", "a comment begins with `#`"),
    ("arch n\nparam a = 4 // the «width»", "a comment begins with `#`"),
    ("arch n\nstage s { conv(8) } «//» done", "a comment begins with `#`"),
    ("arch n\npath slow = clip\nstage s { slow «stem»(8) }", "`slow: CHAIN`"),
    ("arch n\npath slow = clip\nstage s { slow «=» stem(8) }", "`slow: CHAIN`"),
    ("arch n\n«rates» = [1, 2]", "`let rates = [1, 2]`"),
    ("arch n\nstage s { w «=» 64 }", "`let w = 64`"),
    ("arch n\n«a» += 1", "values do not change"),
    ('arch n extends «"x.arch"»', "`extends x`"),
    ('arch n extends «"specs/x"»', "`extends x`"),
    ("arch n extends x«.»arch", "without folder and ending"),
    ("arch n «extend» x", "`arch n extends x`"),
    ('arch n\nimport «"resnet"»', "`import resnet`"),
    ("arch n\nimport lib«/»resnet", "without folder and ending"),
    ("arch n\n«from» resnet import stem", "write `import resnet`"),
    ("arch n\n«def» f(x) { conv(8) }", "`block f() { conv(8) }`"),
    ("«class» Net(Module)", "begins with `arch Net`"),
    ("arch n\nblock b() { «return» conv(8) }", "leave out `return`"),
    ("arch n\nparam a = on «&»& off", "write `and`"),
    ("arch n\nparam a = on «|»| off", "write `or`"),
    ("arch n\nparam a = «!»on", "write `not on`"),
    ("arch n\nif on { stage s { conv(8) } } «elif» off { stage s { conv(9) } }", "write `else if off {`"),
    ("arch n\nif on { stage s { conv(8) } }\n«elif» off { stage s { conv(9) } }", "write `else if off {`"),
    ("arch n\nif on«:»\nstage s { conv(8) }", "`if on {`"),
    ("arch n\nstage s«:» conv(8)", "`stage s { conv(8) }`"),
    ("arch n\nstage s «conv»(8)", "`stage s { conv(8) }`"),
    ("arch n\nhead avgpool «->» linear(5)", "`head: avgpool -> linear(classes)`"),
    ('arch n\nparam a = f«"x{a}"»', "holds no expressions"),
    ("arch n\nparam a = «(1, 2, 3)»", "`[1, 2, 3]`"),
    ("arch n\nparam a = 4«;»", "a line end separates statements"),
    ("arch n\nstage s { conv(8, kernel«:» 3) }", "`kernel = 3`"),
    ("arch n\nparam a = 0,«5»", "decimals have a point"),
    ("arch n\nparam a = «.»5", "`0.5`"),
    ("arch n\n«“»a“", "strings stand in"),
    ("arch n\nparam a = 2 «×» 3", "a product is `*`"),
    ("arch n\nparam a = 2 «–» 3", "a minus is `-`"),
    ("arch n\nparam a = 2 «≤» 3", "`<=`"),
    ("arch n\nstage s { conv(8) ->«»\n relu }", "begins with `->`"),
    ("arch n\nstage s { conv(8) -> «}»", "leave out the last `->`"),
    ("arch n\nparam a = 4,«»\nparam b = 3", "leave out the comma"),
    ("arch n\nstage s { conv(8,«,» 3) }", "one of the two commas"),
    ("arch n\nparam a = b«.»append(3)", "no parts and no methods"),
    ("arch n\nparam a = math«.»floor(3)", "`floor(…)`"),
    ("arch n\nparam a = b[1«:»2]", "no slices"),
    ("arch n\nparam a = «{»b: 3}", "no dictionaries"),
    ("arch n\nparam a = 1 < b «<» 5", "do not chain"),
    ("arch n\nparam a = b «not» in c", "`not x in list`"),
    ("arch n\nstage s { «3» * conv(8) }", "repeats stand behind"),
    ("arch n\nstage s { conv(8) «x» 3 }", "`* 3`"),
    ("arch n\nstage s { residual«(»conv(8)) }", "braces hold chains"),
    ("arch n\nstage s { conv(8, «3x3x3») }", "`[3, 3, 3]`"),
    ("arch n\nparam a = «64k»", "`64K`"),
    ("arch n\nparam a = «0x10»", "`16`"),
    ("arch my«-»net", "`arch my_net`"),
    ("arch n\nblock b() {\nconv(8)\n«bn» }", "join its lines by `->`"),
    ("arch n\n«conv»(8) -> relu", "layers stand in stages"),
]


def faults(text: str) -> tuple[Diagnostic, ...]:
    """Diagnostics of a text that does not parse."""
    with pytest.raises(SpecError) as caught:
        parse(Source("n.arch", text))
    return caught.value.diagnostics


@pytest.mark.parametrize(("marked", "said"), TOLD, ids=[t[0].partition("\n")[2][:40] or t[0][:40] for t in TOLD])
def test_habit(marked: str, said: str) -> None:
    before, _, rest = marked.partition("«")
    pointed, _, after = rest.partition("»")
    first = faults(before + pointed + after + "\n")[0]
    assert said in first.help
    assert (first.span.start, first.span.end) == (len(before), len(before) + len(pointed))


@pytest.mark.parametrize("word", STATEMENTS)
def test_word_that_begins_a_line_elsewhere(word: str) -> None:
    first = faults(f"arch n\n{word} w = 3\n")[0]
    assert (first.span.text, first.code, first.help) == (word, "E0108", STATEMENTS[word])


@pytest.mark.parametrize("kind", FORMS)
def test_each_statement_has_a_form(kind: str) -> None:
    words = {t.name: t.pattern.value for t in parser().terminals}
    assert FORMS[kind].startswith(f"`{words[kind]}")
    assert faults(f"arch n\n{words[kind]} 3\n" if kind != "ARCH" else "arch 3\n")[0].help


def test_every_line_is_reported_after_a_habit_inside_of_a_condition() -> None:
    found = faults("arch n\nparam w = 1 if x is 3 else 2\nrates = 2\nparam v = [1 if x is 3 else 2]\nwidth += 8\n")
    assert [d.span.text for d in found] == ["is", "rates", "is", "width"]


def test_words_in_any_order_are_reported_and_never_fail() -> None:
    """Random lines of the words that the rules look at: each is a diagnostic, or parses."""
    choice = random.Random(5)
    words = [
        *STATEMENTS,
        *'( ) [ ] { } : = == => -> // / * ** . .. , | + - < % ! 3 3x3 .5 "s" x in for if not\n'.split(" "),
    ]
    words += ["\n", "stage s {", "param a =", "conv(", "arch n", "path p =", "head:", "block b("]
    found: list[Diagnostic] = []
    for _ in range(600):
        text = " ".join(choice.choice(words) for _ in range(choice.randint(2, 14)))
        try:
            parse(Source("n.arch", f"arch n\n{text}\n"))
        except SpecError as error:
            found += error.diagnostics
    assert len(found) > 600
    assert all(d.label or d.help for d in found)
