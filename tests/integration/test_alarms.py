"""What a function sets aside raises its alarm: the metric that the handler writes is the one that the template watches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.kit.pipeline import pipeline
from tests.template.test_template import ALARMS
from tributary.ports import VendorAnswer, VendorRequest


class Vendor:
    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        raise AssertionError("nothing is sent")


MESSAGE = {"messageId": "q", "receiptHandle": "h", "body": "{", "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1"}}
CHANGE = {"dynamodb": {"Keys": {"pk": {"S": "user#1"}, "sk": {"S": "event#src_shop#m"}}}}


@pytest.mark.parametrize(("function", "record"), [("record", MESSAGE), ("fan_out", CHANGE), ("resolve", CHANGE)])
def test_a_record_that_is_set_aside_is_counted_by_the_metric_that_its_alarm_watches(
    function: str, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pipeline(monkeypatch, Vendor()) as stack:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", function)
        stack.restart()
        stack.invoke(function, {"Records": [record]})
        assert [row["pk"]["S"] for row in stack.rows("events")] == [f"poison#{function}"]
    (line,) = [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]
    (described,) = line["_aws"]["CloudWatchMetrics"]
    (names,) = described["Dimensions"]
    (alarm,) = [
        alarm
        for alarm in ALARMS.values()
        if alarm["Namespace"] == {"Ref": "AWS::StackName"} and alarm["Dimensions"] == [{"Name": name, "Value": line[name]} for name in names]
        if line.get(alarm["MetricName"]) == [1.0]
    ]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)
