"""Our own messages: every released version still parses, and nothing that is not ours does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.kit.builders import NOON, track
from tributary.facts.message import SCHEMA_VERSION, pack, unpack
from tributary.facts.tables import Kind
from tributary.messages import DeliveryMessage, IngestMessage, delivery_decoder, ingest_decoder, to_text

SAMPLES = sorted((Path(__file__).parent / "messages").glob("v*/*.json"))
OF_FACTS = [path for path in SAMPLES if path.stem == "facts"]
RELEASED = [path for path in SAMPLES if path not in OF_FACTS]
DECODERS: dict[str, msgspec.json.Decoder[Any]] = {"ingest": ingest_decoder, "delivery": delivery_decoder}


@pytest.mark.parametrize("path", RELEASED, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_message_of_a_released_version_is_still_read(path: Path) -> None:
    message = DECODERS[path.stem].decode(path.read_bytes())
    assert json.loads(to_text(message)) == json.loads(path.read_bytes())


def test_facts_of_a_released_version_are_still_read_each_kind_among_them() -> None:
    for path in OF_FACTS:
        message = unpack(path.read_text())
        assert set(message.rows()) == set(Kind)
        (body,) = pack(message.rows())
        assert json.loads(body) == json.loads(path.read_bytes())


def test_a_message_says_its_version() -> None:
    assert json.loads(to_text(DeliveryMessage(connection="c", event=track())))["schemaVersion"] == 1
    assert json.loads(to_text(IngestMessage(source="s", received_at=NOON)))["schemaVersion"] == 1


def test_every_version_up_to_todays_is_among_the_samples() -> None:
    assert {path.parent.name for path in RELEASED} == {"v1"}
    assert [path.parent.name for path in OF_FACTS] == [f"v{version}" for version in range(1, SCHEMA_VERSION + 1)]
    assert IngestMessage(source="s", received_at=NOON).schema_version == 1


@pytest.mark.parametrize("change", [{"schemaVersion": 2}, {"colour": "red"}, {"events": [{"type": "sale"}]}, {"receivedAt": "yesterday"}])
def test_a_message_of_another_form_is_refused(change: dict[str, Any]) -> None:
    sample = json.loads((Path(__file__).parent / "messages" / "v1" / "ingest.json").read_bytes())
    with pytest.raises(msgspec.ValidationError):
        ingest_decoder.decode(json.dumps({**sample, **change}))


def test_an_event_with_a_field_too_many_is_refused() -> None:
    body = json.loads(to_text(DeliveryMessage(connection="c", event=track())))
    body["event"]["colour"] = "red"
    with pytest.raises(msgspec.ValidationError):
        delivery_decoder.decode(json.dumps(body))


def test_what_sqs_refuses_in_a_text_is_escaped_and_comes_back() -> None:
    text = to_text(DeliveryMessage(connection="c", event=track(properties={"odd": "\ufffe\uffff\u0000\u001f"})))
    assert not any(character in text for character in "\ufffe\uffff\u0000\u001f")
    event = delivery_decoder.decode(text).event
    assert event.type == "track"
    assert event.properties["odd"] == "\ufffe\uffff\u0000\u001f"  # type: ignore[union-attr]
