"""Metrics and rules for alerts, checked by Prometheus' own tool."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from support.call_builders import call
from support.observed_feed import ObservedFeed, feed_statistics, large_mirror
from support.paths import ROOT

from basix_ws_cti.bridges.exposition import Exposition
from basix_ws_cti.bridges.live_figures import LiveFigures
from basix_ws_cti.calls import CallStarted

RULES = ROOT / "docs" / "deploy" / "prometheus-alerts.yml"
PAGE = ROOT / "docs" / "howto" / "monitoring.md"
CASES = Path(__file__).parent / "alert_cases.yml"

NAME = re.compile(r"\bbasix_[a-z_]+")


@pytest.fixture(scope="module")
def text():
    """Metrics of a PBX with hostile names of queues."""
    figures = LiveFigures(
        ObservedFeed(large_mirror(users=20, queues=14)),
        max_queues=10,
        now=lambda: 10**15,
        stats=feed_statistics,
    )
    figures.apply(CallStarted(call("0 queued g900001")))
    return Exposition(figures).render().body


@pytest.fixture(scope="module")
def names(text):
    """Names of all samples and metrics."""
    families = [*text_string_to_metric_families(text.decode())]
    return {sample.name for one in families for sample in one.samples} | {
        one.name for one in families
    }


def promtool(*arguments, stdin=None):
    command = ["promtool", *map(str, arguments)]
    done = subprocess.run(command, check=False, input=stdin, capture_output=True)
    return done.returncode, (done.stdout + done.stderr).decode()


@pytest.mark.promtool
@pytest.mark.slow
def test_prometheus_accepts_the_metrics_and_finds_nothing_to_criticise(text):
    assert promtool("check", "metrics", stdin=text) == (0, "")


@pytest.mark.promtool
@pytest.mark.slow
def test_every_alert_fires_when_it_should_and_not_otherwise(tmp_path):
    cases = tmp_path / "cases.yml"
    contents = CASES.read_text(encoding="utf-8")
    cases.write_text(contents.replace("[RULES]", f"[{RULES}]"), encoding="utf-8")
    status, output = promtool("test", "rules", cases)
    assert status == 0, output


def test_every_alert_has_a_case():
    rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
    alerts = {rule["alert"] for group in rules["groups"] for rule in group["rules"]}
    cases = yaml.safe_load(CASES.read_text(encoding="utf-8"))["tests"]
    firing = {
        one["alertname"]
        for case in cases
        for one in case["alert_rule_test"]
        if one.get("exp_alerts")
    }
    assert firing == alerts
    assert len(alerts) > 9


def test_rules_and_page_name_only_metrics_that_exist(names):
    used = {
        name for file in (RULES, PAGE) for name in NAME.findall(file.read_text(encoding="utf-8"))
    }
    assert len(used) > 20
    assert used - {"basix_ws_cti"} - names == set()


def test_page_explains_every_metric(text):
    page = PAGE.read_text(encoding="utf-8")
    names = {one.name for one in text_string_to_metric_families(text.decode())}
    missing = {name for name in names if not re.search(rf"`{name}(_total|_info)?[`{{]", page)}
    assert missing == set()
