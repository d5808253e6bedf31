"""The routes of `/api/syncs`: accounts that are asked for what they know."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated

import msgspec
from msgspec import Meta

from tributary.control.http import Answer, Call, Route
from tributary.control.problems import Problem
from tributary.errors import WriteConflict
from tributary.sync.syncs import NoSuchSync, NotYet, Sync, Syncs


class SyncPage(msgspec.Struct, frozen=True, kw_only=True):
    """Every account that is synced, by id."""

    data: list[Sync]


class Restart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """From where to read the history again."""

    from_day: Annotated[date | None, Meta(description="The first day, in the account's time zone; null for the account's first.")] = None


@dataclass(frozen=True)
class SyncRoutes:
    syncs: Syncs

    def routes(self) -> list[Route]:
        one = "/api/syncs/{connection}"
        return [
            Route(method="GET", path="/api/syncs", scope="syncs:read", summary="Syncs and how far they are", handle=self._all, answer=SyncPage),
            Route(method="GET", path=one, scope="syncs:read", summary="A sync", handle=_guarded(self._one), answer=Sync, problems=[404]),
            self._command("poll", "Ask the account for what is new, now", lambda call: self.syncs.poll(call.path["connection"])),
            self._command("pause", "Pause reading its history; what is new still comes", lambda call: self.syncs.pause(call.path["connection"])),
            self._command("resume", "Go on, after a pause or after the account refused", lambda call: self.syncs.resume(call.path["connection"])),
            Route(
                method="POST",
                path=f"{one}/restart",
                scope="syncs:write",
                summary="Read its history again",
                description="What has not changed since makes no event.",
                handle=_guarded(lambda call: Answer(body=self.syncs.restart(call.path["connection"], call.body.from_day))),
                body=Restart,
                answer=Sync,
                problems=[404, 409],
            ),
        ]

    def _command(self, name: str, summary: str, run: Callable[[Call], Sync]) -> Route:
        return Route(
            method="POST",
            path=f"/api/syncs/{{connection}}/{name}",
            scope="syncs:write",
            summary=summary,
            handle=_guarded(lambda call: Answer(body=run(call))),
            answer=Sync,
            problems=[404, 409],
        )

    def _all(self, _: Call) -> Answer:
        return Answer(body=SyncPage(data=self.syncs.all()))

    def _one(self, call: Call) -> Answer:
        return Answer(body=self.syncs.one(call.path["connection"]))


def _guarded(handle: Callable[[Call], Answer]) -> Callable[[Call], Answer]:
    def guarded(call: Call) -> Answer:
        try:
            return handle(call)
        except NoSuchSync:
            raise Problem(status=404, code="not_found", detail="There is no synced connection of this id.") from None
        except NotYet:
            raise Problem(status=400, code="invalid_field", field="from_day", detail="That day has yet to come.") from None
        except WriteConflict:
            raise Problem(status=409, code="changed_meanwhile", detail="The sync got on at the same moment; try again.") from None

    return guarded
