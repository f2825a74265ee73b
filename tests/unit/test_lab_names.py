"""The lab's names: what the resolver answers from the zone, and what one consumer makes of the answers."""

from __future__ import annotations

import asyncio
import random
from datetime import timedelta

import pytest
from dnslib import RCODE, DNSRecord

from orchestrator.lab.cloud.zone import ZoneRecord
from orchestrator.lab.consumers.lookup import ask_names
from orchestrator.lab.consumers.names import AddressBook, Answer, NamesUnanswered
from orchestrator.lab.places import relays_name
from orchestrator.lab.resolver import answer, serve_names

CHANCE = random.Random(1)


def a_fleet(region: str, *numbers: int) -> list[ZoneRecord]:
    """The records of a region's relays, as a controller makes them."""
    name = f"{region}.relays.demo.lab"
    relays = [
        ZoneRecord(name, "A", (f"10.64.128.{n}",), 5, set_id=f"demo-{region}-{n:02d}", multivalue=True) for n in numbers
    ]
    return [*relays, ZoneRecord("relays.demo.lab", "A", set_id=region, region=region, alias=name)]


ZONE = [
    *a_fleet("eu-1", *range(1, 11)),
    *a_fleet("us-1", 11, 12),
    ZoneRecord("_genesis-fleet.relays.demo.lab", "TXT", ('"heritage=genesis-fleet,fleet=demo"',), 5),
    ZoneRecord("demo-us-1-11.relays.demo.lab", "A", ("10.64.128.11",), 5),
]


def ask(name: str, kind: str = "A") -> DNSRecord:
    return answer(DNSRecord.question(name, kind), lambda: ZONE, CHANCE)


def addresses(reply: DNSRecord) -> set[str]:
    return {str(record.rdata) for record in reply.rr}


def test_at_most_eight_answers_are_given_another_choice_each_time_with_a_short_life() -> None:
    replies = [ask(relays_name("demo", "eu-1")) for _ in range(20)]
    assert {len(reply.rr) for reply in replies} == {8}
    assert {record.ttl for reply in replies for record in reply.rr} == {5}
    assert set.union(*map(addresses, replies)) == {f"10.64.128.{n}" for n in range(1, 11)}


def test_the_fleet_s_name_gives_the_relays_of_one_region_and_of_each_in_turn() -> None:
    found = [addresses(ask("RELAYS.demo.LAB")) for _ in range(40)]
    american = {"10.64.128.11", "10.64.128.12"}
    assert american in found
    assert all(each == american or not each & american for each in found)


def test_a_region_that_publishes_nobody_is_not_answered_with() -> None:
    gone = [record for record in ZONE if "eu-1" not in (record.region, record.name.partition(".")[0])]
    replies = [answer(DNSRecord.question("relays.demo.lab"), lambda: gone, CHANCE) for _ in range(20)]
    assert set.union(*map(addresses, replies)) == {"10.64.128.11", "10.64.128.12"}


def test_a_relay_and_an_owner_s_text_have_names_of_their_own() -> None:
    assert addresses(ask("demo-us-1-11.relays.demo.lab")) == {"10.64.128.11"}
    (text,) = ask("_genesis-fleet.relays.demo.lab", "TXT").rr
    assert str(text.rdata) == '"heritage=genesis-fleet,fleet=demo"'


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("relays.nobody.lab", "A", "NXDOMAIN"),
        ("demo.lab", "A", "NOERROR"),
        ("relays.demo.lab", "AAAA", "NOERROR"),
        ("relays.demo.lab", "MX", "NOERROR"),
        ("relays.demo.example", "A", "REFUSED"),
        ("example.org", "A", "REFUSED"),
    ],
)
def test_other_questions_get_no_address(name: str, kind: str, code: str) -> None:
    reply = ask(name, kind)
    assert RCODE.get(reply.header.rcode) == code
    assert reply.rr == []


def test_a_question_over_the_wire_gets_addresses_and_their_life() -> None:
    server = serve_names(lambda: ZONE, "127.0.0.1")
    try:
        got = asyncio.run(ask_names("127.0.0.1", server.port, "us-1.relays.demo.lab."))
        assert set(got.addresses) == {"10.64.128.11", "10.64.128.12"}
        assert got.time_to_live == timedelta(seconds=5)
        for name, said in (("relays.nobody.lab.", "NXDOMAIN"), ("demo.lab.", "has no addresses")):
            with pytest.raises(NamesUnanswered, match=said):
                asyncio.run(ask_names("127.0.0.1", server.port, name))
    finally:
        server.close()


def test_a_resolver_that_is_not_there_is_said_so() -> None:
    server = serve_names(list, "127.0.0.1")
    server.close()
    with pytest.raises(NamesUnanswered, match="the resolver 127"):
        asyncio.run(ask_names("127.0.0.1", server.port, "relays.demo.lab."))


def play_book(*answers: Answer | NamesUnanswered, takes: int, useful: bool = False) -> tuple[list[str], AddressBook]:
    """Take so many addresses from a book whose names say one thing after the other, the last for good."""
    said = list(answers)

    async def ask() -> Answer:
        found = said.pop(0) if len(said) > 1 else said[0]
        if isinstance(found, NamesUnanswered):
            raise found
        return found

    async def take() -> tuple[list[str], AddressBook]:
        book = AddressBook(ask, random.Random(3), pause=timedelta(milliseconds=1))
        taken = []
        for _ in range(takes):
            taken.append(await book.next())
            book.note(taken[-1], useful=useful)
        return taken, book

    return asyncio.run(take())


HOUR, NOW = timedelta(hours=1), timedelta()


def test_all_addresses_of_an_answer_are_tried_before_the_names_are_asked_again() -> None:
    taken, book = play_book(Answer(("a", "b", "c"), HOUR), takes=3)
    assert sorted(taken) == ["a", "b", "c"]
    assert book.lookups == 1


def test_an_answer_that_is_too_old_is_not_used() -> None:
    taken, book = play_book(Answer(("a", "b"), NOW), Answer(("c",), NOW), takes=2)
    assert taken[1] == "c"
    assert book.lookups == 2


def test_who_was_just_parted_from_comes_last_in_the_next_answer() -> None:
    taken, _ = play_book(Answer(("a",), NOW), Answer(("a", "b", "c"), HOUR), takes=4, useful=True)
    assert taken[0] == taken[-1] == "a"


def test_names_that_say_nothing_are_asked_until_they_do() -> None:
    silent = NamesUnanswered("no answer")
    taken, book = play_book(silent, silent, Answer(("a",), HOUR), takes=1)
    assert taken == ["a"]
    assert book.lookups == 3
    assert book.problem is None
