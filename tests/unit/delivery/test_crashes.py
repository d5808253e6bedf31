"""The sandbox dies at every step in turn, before the outside has the call and after. What was in its hands comes again, and the end is the same."""

from __future__ import annotations

from tests.kit.builders import track
from tests.kit.deliveries import FragileDesk, connection, message_for, story
from tests.kit.vendor import DROPPED, Step, answers
from tributary.identity.identifiers import Identifier
from tributary.ports import OutMessage

PEOPLE = ("ann", "bob", "cy", "dan")


def desk_with_everything() -> FragileDesk:
    """People whose events take every way that a message can take."""
    desk = FragileDesk(
        {"ann-1": answers(500, 500), "bob-0": answers(400), "cy-2": [DROPPED], "dan-0": [Step(status=429, headers={"retry-after": "20"})]}, seed=5
    )
    desk.connections.connections.append(connection(id="con_shadow", mode="shadow"))
    desk.suppressions.digests = {desk.digests.of(Identifier("user", "erased"))}
    for person in PEOPLE:
        desk.send(*story(person, 3))
    desk.send(track(user_id="eve", message_id="eve-0"), connection_id="con_shadow")
    desk.send(track(user_id="erased", message_id="erased-0"))
    desk.send(track(user_id="fay", message_id="fay-0", properties={"requests": 3}))
    unreadable = message_for(track(user_id="gil"))
    desk.queue.send([OutMessage("{", unreadable.group, "unreadable")])
    return desk


def check_the_end(desk: FragileDesk, killed: str) -> None:
    assert desk.waiting == 0, killed
    for person in PEOPLE:
        parked = {row.message_id for row in desk.parking.rows.values()}
        wanted = [event.message_id for event in story(person, 3) if event.message_id not in parked]
        assert desk.applied(person) == wanted, killed
    assert {row.message_id for row in desk.parking.rows.values()} == {"bob-0"}, killed
    assert desk.applied("erased") == [], killed
    assert list(desk.shadow.rows) == [("con_shadow", "src_shop", "eve-0")], killed
    assert [row.code for row in desk.poison.rows.values()] == ["unreadable_message"], killed
    for event, part in {(one.id, dict(one.request.query)["part"]) for one in desk.vendor.sent}:
        same = {str(one.request) for one in desk.vendor.sent if (one.id, dict(one.request.query)["part"]) == (event, part)}
        assert len(same) == 1, killed
    assert len(desk.dead_letters) == 0, killed


def test_after_a_crash_at_any_step_everything_arrives_in_order_and_resends_are_the_same() -> None:
    whole = desk_with_everything()
    whole.run()
    check_the_end(whole, "nothing")
    every_step = whole.sandbox.steps
    assert set(every_step) == {
        *("connections.all", "suppressions.among", "secrets.get", "vendor.send", "visibility.change", "parking.park", "poison.park", "shadow.keep"),
        *("attempts.get", "attempts.put", "attempts.delete"),
    }
    for name, times in every_step.items():
        for time in range(times):
            for moment in ("before", "after"):
                desk = desk_with_everything()
                desk.sandbox.kill_at = (name, time, moment)
                desk.run()
                check_the_end(desk, f"{moment} {name}, time {time}")
                # Threads take turns, so that the last time of a step may not come in this run; the first always does.
                assert desk.mapping.crashes == 1 or time > 0


def test_a_message_that_kills_its_sandbox_every_time_goes_to_the_dead_letters_and_its_group_goes_on() -> None:
    """Nothing of ours can catch it; the queue's thousand receives are for this."""
    desk = FragileDesk()
    desk.queue.max_receive_count = 5
    plain = desk.vendor.send

    def send(request: object, *, timeout: float) -> object:
        if dict(request.query)["id"] == "ann-0":  # type: ignore[attr-defined]
            desk.sandbox.kill_at = ("vendor.send", desk.sandbox.steps["vendor.send"] - 1, "after")
        return plain(request, timeout=timeout)  # type: ignore[arg-type]

    desk.vendor.send = send  # type: ignore[method-assign,assignment]
    desk.delivery = desk.build()
    first, second = story("ann", 2)
    desk.send(first)
    desk.run(hours=3)
    (dead,) = desk.dead_letters.messages
    assert '"ann-0"' in dead.body
    assert dead.group == message_for(first).group
    assert desk.mapping.crashes == 5
    desk.send(second)
    desk.run(hours=1)
    assert desk.applied("ann")[-1] == "ann-1"
    assert desk.waiting == 0
