"""The log's stream → destination queues: one message per event and connection.

Messages of one group (connection and stable identifier) are sent in the order of their stamps. A batch that comes again sends the same messages again: within
five minutes SQS drops them by their deduplication id, and later the vendor's request is the same to the byte.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set

from tributary.events import Event
from tributary.fan_out.routing import Route, decide
from tributary.identity.digests import public_digest
from tributary.identity.identifiers import stable_identifier
from tributary.messages import DeliveryMessage, to_text
from tributary.ports import Connections, MessageQueue, OutMessage
from tributary.settings import Connection, ConnectionType, UnreadableConnection


class FanOut:
    """The fan-out service. `queues` and `integration_names`: by destination type."""

    def __init__(
        self, *, connections: Connections, queues: Mapping[ConnectionType, MessageQueue], integration_names: Mapping[ConnectionType, Set[str]]
    ) -> None:
        self._connections = connections
        self._queues = queues
        self._integration_names = integration_names

    def handle(self, events: Sequence[Event]) -> Counter[str]:
        """Send each event to each connection that takes it; counts by what was decided. Raises `StoreUnavailable`: the batch comes again.

        What an unreadable connection takes cannot be told, a filter or consent among it, so it is sent nothing, and that is counted: the log has it.
        """
        known = self._connections.all()
        readable = [connection for connection in known if isinstance(connection, Connection)]
        connections = [connection for connection in readable if connection.type in self._queues]
        counts: Counter[str] = Counter()
        if len(readable) < len(known):
            counts["connection_unreadable"] = len(events) * (len(known) - len(readable))
        outgoing: dict[ConnectionType, list[OutMessage]] = {}
        for event in sorted(events, key=lambda event: (stable_identifier(event), event.stamp)):
            for connection in connections:
                route = decide(event, connection, self._integration_names[connection.type])
                counts[route] += 1
                if route is Route.SEND:
                    outgoing.setdefault(connection.type, []).append(_message(event, connection))
        for destination, messages in outgoing.items():
            self._queues[destination].send(messages)
        return counts

    def unreadable(self) -> list[str]:
        """The connections that stand still because this release cannot read their rows."""
        return [connection.id for connection in self._connections.all() if isinstance(connection, UnreadableConnection)]


def group_of(event: Event, connection_id: str) -> str:
    """The FIFO group: what is delivered in order."""
    return public_digest(connection_id, stable_identifier(event))


def _message(event: Event, connection: Connection) -> OutMessage:
    return OutMessage(
        body=to_text(DeliveryMessage(connection=connection.id, event=event)),
        group=group_of(event, connection.id),
        deduplication=public_digest(connection.id, event.source, event.message_id),
    )
