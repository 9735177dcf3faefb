"""The table of public model zoos: its page is up to date, and its networks have the parameters of the zoos."""

from __future__ import annotations

import sys

import pytest
from repository import ROOT

from archdsl.files import read_source
from archdsl.frontend import ast
from archdsl.frontend.parse import parse

sys.path.insert(0, str(ROOT / "docs"))

import zoos

ROWS = zoos.read()
NETWORKS = zoos.networks(ROWS)
COVERED = [row for row in NETWORKS if row.spec]
# The first network of each zoo and way, and one of each variant.
FEW = {(row.zoo, row.how) if not row.variant else row.variant: row for row in reversed(COVERED)}.values()
VARIANTS = sorted(zoos.FOLDER.glob("*.arch"))


def test_the_page_is_up_to_date() -> None:
    """`python docs/zoos.py` writes it."""
    assert zoos.PAGE.read_text("utf-8") == zoos.page(ROWS)


@pytest.mark.parametrize(
    "row",
    [pytest.param(row, marks=() if row in FEW else pytest.mark.records) for row in COVERED],
    ids=[f"{row.zoo} {row.network}" for row in COVERED],
)
def test_parameters_of_the_zoo(row: zoos.Row) -> None:
    assert not zoos.fault(row)


def test_a_network_is_described_once() -> None:
    """Configurations with the same network have the same spec, settings and figure, or the same reason."""
    for row in ROWS:
        first = next(r for r in NETWORKS if (r.zoo, r.network) == (row.zoo, row.network))
        same = [(r.spec, r.set, r.clip, r.variant, r.missing) for r in (first, row)]
        assert same[0] == same[1], row.configuration
        assert bool(row.spec) is not bool(row.missing), row.configuration


def test_a_wrong_figure_is_a_fault() -> None:
    row = next(row for row in COVERED if row.parameters)
    assert not zoos.fault(row)
    assert "parameters" in zoos.fault(row._replace(parameters=str(int(row.parameters) + 1)))
    assert "E0308" in zoos.fault(row._replace(set="heights=3"))


@pytest.mark.parametrize("path", VARIANTS, ids=lambda p: p.stem)
def test_variants_have_six_statements(path: zoos.Path) -> None:
    """Beside the name and the description."""
    header, *statements = parse(read_source(path)).statements
    assert isinstance(header, ast.Header)
    assert header.base is not None
    assert len([s for s in statements if not isinstance(s, ast.Doc)]) <= 6
    assert path.stem in {row.variant for row in ROWS}
