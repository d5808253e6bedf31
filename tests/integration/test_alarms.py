"""What a function sets aside raises its alarm: the metric that the handler writes is the one that the template watches."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local.fakes.fake import Fake, Request
from local.fakes.konnektive.vendor import Konnektive
from tests.kit.builders import NOON
from tests.kit.pipeline import pipeline
from tests.kit.sync import FakedVendor
from tests.template.test_template import ALARMS
from tributary.ports import VendorAnswer, VendorRequest


class Vendor:
    def send(self, request: VendorRequest, *, timeout: float) -> VendorAnswer:
        raise AssertionError("nothing is sent")


MESSAGE = {"messageId": "q", "receiptHandle": "h", "body": "{", "attributes": {"ApproximateReceiveCount": "1", "SentTimestamp": "1", "MessageGroupId": "g"}}
CHANGE = {"dynamodb": {"Keys": {"pk": {"S": "user#1"}, "sk": {"S": "event#src_shop#m"}}}}


@pytest.mark.parametrize(("function", "record"), [("record", MESSAGE), ("fan_out", CHANGE), ("resolve", CHANGE), ("konnektive_poll", MESSAGE)])
def test_a_record_that_is_set_aside_is_counted_by_the_metric_that_its_alarm_watches(
    function: str, record: dict[str, Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pipeline(monkeypatch, Vendor()) as stack:
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", function)
        stack.restart()
        stack.invoke(function, {"Records": [record]})
        assert [row["pk"]["S"] for row in stack.rows("events")] == [f"poison#{function}"]
    (line,) = _metrics(capsys)
    alarm = _alarm_on(line)
    assert (alarm["Statistic"], alarm["Threshold"]) == ("Sum", 0)


def test_an_account_that_lets_nobody_in_raises_its_alarm_at_every_tick_until_somebody_resumes(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = Fake(Konnektive())
    assert fake.receive(Request(at=NOON, method="POST", path="/__shop", body=b'{"permissions": {"login": false}}')).answer is not None
    with pipeline(monkeypatch, Vendor(), account=lambda clock: FakedVendor(fake, clock.now)) as stack:
        stack.tick()
        stack.run(rounds=30)
        monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "konnektive_schedule")
        stack.restart()
        capsys.readouterr()
        for _ in range(2):
            stack.tick()
            (line,) = _metrics(capsys)
            alarm = _alarm_on(line)
            assert (alarm["MetricName"], alarm["Statistic"], alarm["Threshold"]) == ("refused", "Maximum", 0)


def _metrics(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [line for line in map(json.loads, capsys.readouterr().out.splitlines()) if "_aws" in line]


def _alarm_on(line: dict[str, Any]) -> dict[str, Any]:
    """The one alarm that watches a metric of the line which is 1."""
    (described,) = line["_aws"]["CloudWatchMetrics"]
    (names,) = described["Dimensions"]
    alarm: dict[str, Any]
    (alarm,) = [
        alarm
        for alarm in ALARMS.values()
        if alarm["Namespace"] == {"Ref": "AWS::StackName"} and alarm["Dimensions"] == [{"Name": name, "Value": line[name]} for name in names]
        if line.get(alarm["MetricName"]) == [1.0]
    ]
    assert alarm["ComparisonOperator"] == "GreaterThanThreshold"
    return alarm
