"""Notebooks of the documentation: their cells run, and the last one makes a chart."""

from __future__ import annotations

import ast
import json

import pytest
from support.paths import ROOT
from support.report_days import log_day

pytestmark = pytest.mark.slow

NOTEBOOK = ROOT / "docs" / "notebooks" / "calls.ipynb"


def run_cells(notebook):
    """Run the code cells in order; return the value of the last expression of each."""
    namespace, values = {}, []
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            tree = ast.parse("".join(cell["source"]))
            shown = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
            exec(compile(tree, notebook.name, "exec"), namespace)
            if shown is not None:
                shown = eval(compile(ast.Expression(shown.value), notebook.name, "eval"), namespace)
            values.append(shown)
    return values


def test_notebook_goes_from_a_call_log_to_a_chart(tmp_path, monkeypatch):
    log_day(tmp_path / "calls.db")
    monkeypatch.chdir(tmp_path)
    _, totals, waits, chart = run_cells(NOTEBOOK)
    assert totals["offered"].sum() > 50
    assert waits["calls"].sum() > 50
    drawn = chart.to_dict()  # checks it against the schema of Vega-Lite
    (rows,) = drawn["datasets"].values()
    assert sum(row["calls"] for row in rows) == totals["answered"].sum() + totals["abandoned"].sum()
    assert {row["result"] for row in rows} == {"answered", "abandoned"}


def test_notebook_is_saved_without_outputs():
    """Outputs would contain the data of whoever ran it last."""
    cells = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in code] == [[]] * len(code)
    assert {cell["execution_count"] for cell in code} == {None}
