"""Trying a connection's settings: each endpoint that a sync needs is called once, and what is wrong is said in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from tributary.errors import NotTheApi, RetryError, SettingsInvalid, SourceRefused
from tributary.ports import Vendor
from tributary.sources.konnektive.settings import DEFAULT_BASE_URL, KonnektiveSettings, settings_of
from tributary.sync import days
from tributary.sync.api import Konnektive
from tributary.sync.streams import ENDPOINTS, KINDS, SUMMARY, Stream

PATIENCE_SECONDS: Final = 18.0
"""Within the gateway's thirty, the stores' own time-outs included."""
_FIELD_OF: Final = {"login": "loginId", "address": "loginId"}


def check(
    settings: KonnektiveSettings, *, vendor: Vendor, wait: Callable[[float], None], now: Callable[[], datetime], remaining: Callable[[], float]
) -> list[str]:
    """What could not be tried because Konnektive is slow or down at the moment; empty if all is well.
    Raises `SettingsInvalid` for what a person has to mend."""
    trial = _Trial(Konnektive(vendor=vendor, settings=settings, wait=wait, now=now), remaining)
    today = days.as_parameter(days.today(now(), settings.time_zone))
    window = {"startDate": today, "endDate": today}
    for stream in [Stream(name) for name in settings.streams]:
        trial.call(ENDPOINTS[stream], {**window, "dateRangeType": "dateUpdated"} if stream in KINDS else {})
    if Stream.TRANSACTIONS in settings.streams:
        trial.call(SUMMARY, {**window, "dateRangeType": "txnDate", "reportType": "date"})
    if trial.missing:
        names = ", ".join(trial.missing)
        raise SettingsInvalid(f"The API user may not use {names}: tick that in the user's Access Details, or leave the stream out", field="streams")
    if trial.strange and trial.strange == len(trial.untried) == trial.calls:
        raise SettingsInvalid(f"What answers there is not Konnektive's API; it is at {DEFAULT_BASE_URL}", field="baseUrl")
    return trial.untried


@dataclass
class _Trial:
    api: Konnektive
    remaining: Callable[[], float]
    untried: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    calls: int = 0
    strange: int = 0
    """Answers of something that is not the API."""

    def call(self, endpoint: str, parameters: dict[str, str]) -> None:
        self.calls += 1
        if self.remaining() <= 1:
            self.untried.append(endpoint)
            return
        try:
            self.api.page(endpoint, parameters, per_page=1, timeout=self.remaining())
        except SourceRefused as refused:
            if refused.problem != "permission":
                raise SettingsInvalid(str(refused), field=_FIELD_OF[refused.problem]) from refused
            self.missing.append(endpoint)
        except RetryError as error:
            self.strange += isinstance(error, NotTheApi)
            self.untried.append(endpoint)


def within(vendor: Vendor, monotonic: Callable[[], float]) -> Callable[[Mapping[str, Any]], None]:
    """`check` for a caller who waits: settings in, and no longer than somebody's patience."""

    def try_out(settings: Mapping[str, Any]) -> None:
        began = monotonic()
        check(
            settings_of(settings),
            vendor=vendor,
            wait=lambda _seconds: None,
            now=lambda: datetime.now(UTC),
            remaining=lambda: PATIENCE_SECONDS - (monotonic() - began),
        )

    return try_out
