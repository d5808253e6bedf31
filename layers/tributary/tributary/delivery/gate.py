"""Asked before each call to a vendor: may it be made now? What guards a vendor that is down, or a limit that is shared, stands behind this."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from tributary.settings import Connection


@dataclass(frozen=True, kw_only=True)
class Admission:
    ok: bool
    wait: float = 0.0
    """If not: seconds until it is worth asking again."""
    code: str = "not_admitted"


ADMITTED: Final = Admission(ok=True)


class Gate(Protocol):
    def admit(self, connection: Connection) -> Admission:
        """Whether one call may be made. Time spent waiting for admission is not part of a delivery's age."""


class OpenGate:
    """Admits everything."""

    def admit(self, connection: Connection) -> Admission:  # noqa: ARG002  # the port's
        return ADMITTED
