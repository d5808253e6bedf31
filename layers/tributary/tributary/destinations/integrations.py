"""An event's `integrations` object: which destinations its sender wants it to reach.

    {}                                          everywhere
    {"All": false}                              nowhere
    {"All": false, "Kissmetrics": true}         Kissmetrics alone
    {"All": false, "Kissmetrics": {"x": 1}}     the same: an options object switches on
    {"KISSmetrics": false}                      everywhere else

https://segment.com/docs/guides/filtering-data/
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any


def integrations_allow(integrations: Mapping[str, Any], names: Set[str]) -> bool:
    """Whether the sender lets the event go to the destination known by any of `names`.

    `All` is read in any letter case, a destination's name exactly as given. A destination's own key beats `All`; a value that is not a boolean (options, even
    null) switches the destination on, and says nothing under `All`. Where keys contradict each other (`KISSmetrics` and `Kissmetrics`), false wins: what a
    sender withheld once is not sent.
    """
    own = [value for name, value in integrations.items() if name in names]
    if own:
        return all(value is not False for value in own)
    return all(value is not False for name, value in integrations.items() if name.lower() == "all")
