"""Differences of two networks as Python and notebooks print them."""

from __future__ import annotations

import archdsl


def test_a_difference_is_printed_as_a_table() -> None:
    base = archdsl.loads("arch one\nparam w = 8\ninput clip: video[3, 4, 16, 16]\nstage s { conv(w, 3) }\n")
    arch = archdsl.loads("arch two\nparam w = 16\ninput clip: video[3, 4, 16, 16]\nstage s { conv(w, 3) -> relu }\n")
    difference = archdsl.diff(base, arch)
    lines = [line.split() for line in str(difference).splitlines()]
    assert ["w", "8", "16", "changed"] in lines
    assert ["parameters", "648", "1,296", "+100.0%"] in lines  # 3·27·w
    assert ["layers", "2", "3", "1", "changed:", "s.conv;", "1", "new:", "s.relu"] in lines
    html = difference._repr_html_()
    assert html.count("<tr>") == len(lines) - 1  # all but the rule
    assert len(repr(difference)) < 200
