"""Architectures in notebooks: what is shown of them, and the notebook of examples/, run without a browser."""

from __future__ import annotations

import base64
import re
from typing import Any

import nbformat
import pytest
from command_line import TINY
from nbclient import NotebookClient
from repository import ROOT

import archdsl
from archdsl.targets.dot import render

NOTEBOOK = ROOT / "examples" / "first_look.ipynb"


def test_a_bundle_has_diagram_and_cost() -> None:
    arch = archdsl.loads(TINY)
    shown = arch._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html", "image/svg+xml"}
    for row in arch.cost()["stages"]:
        assert row["name"] in shown["image/svg+xml"]
        for figure in ("params", "macs", "activations"):
            assert f"{row[figure]:,}" in shown["text/plain"]
            assert f">{row[figure]:,}</td>" in shown["text/html"]
    assert shown["text/plain"].startswith(repr(arch))
    image = re.search(r"base64,([^\"]+)\"", shown["text/html"])
    assert image is not None
    assert base64.b64decode(image[1]).decode() == shown["image/svg+xml"]


def test_a_bundle_without_graphviz_has_the_cost(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> bytes:
        raise render.RenderError(render.NO_GRAPHVIZ)

    monkeypatch.setattr("archdsl.targets.dot.writer.render", fails)
    shown = archdsl.loads(TINY)._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/html"}
    assert "<img" not in shown["text/html"]


def test_html_escapes_text() -> None:
    from archdsl.core.table import Table, as_html

    assert '<td style="text-align:left">a&lt;b</td>' in as_html(Table(("x",), (("a<b",),), 0))


@pytest.mark.records  # a process of its own with torch takes seconds
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(ROOT / "examples")}}).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in cells)
    results = [cell.outputs[0] for cell in cells]
    assert "image/svg+xml" in results[0].data
    assert "no layer or block is called `rellu`" in results[3].text
    assert results[-2].data["text/plain"] == "torch.Size([2, 4])"


def test_the_notebook_holds_no_results() -> None:
    """Results would change with each change of a diagram."""
    notebook: Any = nbformat.read(NOTEBOOK, as_version=4)
    assert not [c for c in notebook.cells if c.cell_type == "code" and (c.outputs or c.execution_count)]
