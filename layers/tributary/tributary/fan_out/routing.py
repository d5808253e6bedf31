"""Which connection takes which event, and why not."""

from __future__ import annotations

from collections.abc import Set
from enum import StrEnum

from tributary.conditions import matches
from tributary.destinations.integrations import integrations_allow
from tributary.events import Event
from tributary.settings import Connection


class Route(StrEnum):
    """What is decided for an event and a connection."""

    SEND = "send"
    DISABLED = "disabled"
    OTHER_SOURCE = "other_source"
    HISTORY = "history"
    """An event of a backfill; the connection did not ask for history."""
    INTEGRATIONS = "integrations"
    """The event's own `integrations` object excludes this destination."""
    FILTERED = "filtered"
    CONSENT = "consent"
    """Withheld: the person did not agree to a category that the connection lists."""


def decide(event: Event, connection: Connection, integration_names: Set[str]) -> Route:
    """The first reason against sending, else SEND. A paused or shadow connection is sent to: its forwarder knows what to do."""
    if not connection.enabled:
        return Route.DISABLED
    if connection.sources and event.source not in connection.sources:
        return Route.OTHER_SOURCE
    if event.origin == "history" and not connection.history:
        return Route.HISTORY
    if not integrations_allow(event.integrations, integration_names):
        return Route.INTEGRATIONS
    if not _consented(event, connection):
        return Route.CONSENT
    if connection.filter is not None and not matches(connection.filter, event):
        return Route.FILTERED
    return Route.SEND


def _consented(event: Event, connection: Connection) -> bool:
    """Where the connection lists categories, each must be `true` among the event's preferences; an event without preferences gets the connection's default."""
    if not connection.consent_categories:
        return True
    consent = event.context.get("consent")
    preferences = consent.get("categoryPreferences") if isinstance(consent, dict) else None
    if not isinstance(preferences, dict):
        return connection.consent_default == "send"
    return all(preferences.get(category) is True for category in connection.consent_categories)
