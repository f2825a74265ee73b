"""The lab's names: what the resolver answers from a controller's record, and what one consumer makes of the answers."""

from __future__ import annotations

import asyncio
import random
import stat
from collections.abc import Iterator
from datetime import timedelta
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest
from dnslib import RCODE, DNSRecord

from orchestrator.adapters.store import Store, open_store
from orchestrator.errors import StoreRefused
from orchestrator.fleet.record import Evidence
from orchestrator.lab.announced import announce_fleet, find_store
from orchestrator.lab.cloud.instances import InstanceView
from orchestrator.lab.consumers.lookup import ask_names
from orchestrator.lab.consumers.names import AddressBook, Answer, NamesUnanswered
from orchestrator.lab.places import relays_name
from orchestrator.lab.resolver import Published, PublishedRelays, answer, locate, serve_names

CHANCE = random.Random(1)


def an_instance(
    relay: str, address: str, *, region: str = "eu-1", generation: int = 1, state: str = "running", fleet: str = "demo"
) -> InstanceView:
    tags = {
        "genesis-fleet:fleet": fleet,
        "genesis-fleet:relay": relay,
        "genesis-fleet:generation": str(generation),
    }
    addresses = (IPv4Address("10.64.0.9"), IPv4Address(address), IPv6Address("fd00::1"))
    return InstanceView(
        instance_id=f"i-{relay}-{generation}",
        region=region,
        zone=f"{region}a",
        state=state,
        name=relay,
        image_id="ami-1",
        instance_type="t3.small",
        user_data=b"",
        addresses=addresses,
        volumes=(),
        machine_wanted=True,
        launch_fails=False,
        isolated=False,
        reboot_asked=False,
        health="ok",
        tags=tuple(sorted(tags.items())),
    )


def publish(store: Store, *relays: str) -> None:
    store.save_evidence(Evidence(published=frozenset(relays)), store.load().evidence)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    url = f"sqlite:///{tmp_path / 'store.db'}"
    store = open_store(url, "demo")
    announce_fleet(tmp_path, "demo", url)
    yield store
    store.close()


class Clock:
    """Seconds that pass only when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


def addresses_of(found: tuple[Published, ...] | None) -> set[str]:
    assert found is not None
    return {str(relay.address) for relay in found}


def test_the_names_follow_the_record_within_a_second(store: Store, tmp_path: Path) -> None:
    instances = [an_instance("demo-eu-1-01", "10.64.128.1"), an_instance("demo-eu-1-02", "10.64.128.2")]
    clock = Clock()
    relays = PublishedRelays(tmp_path, lambda: instances, clock)
    publish(store, "demo-eu-1-01")
    assert addresses_of(relays.find("demo")) == {"10.64.128.1"}
    publish(store, "demo-eu-1-02")
    clock.seconds += 1
    assert addresses_of(relays.find("demo")) == {"10.64.128.2"}


def test_the_names_follow_a_relay_to_a_new_address_at_once(store: Store, tmp_path: Path) -> None:
    instances = [an_instance("demo-eu-1-01", "10.64.128.1")]
    relays = PublishedRelays(tmp_path, lambda: instances, Clock())
    publish(store, "demo-eu-1-01")
    assert addresses_of(relays.find("demo")) == {"10.64.128.1"}
    instances[:] = [
        an_instance("demo-eu-1-01", "10.64.128.1", state="terminated"),
        an_instance("demo-eu-1-01", "10.64.128.7", generation=2),
    ]
    assert addresses_of(relays.find("demo")) == {"10.64.128.7"}


def test_of_two_instances_of_a_relay_the_newer_generation_is_meant() -> None:
    both = [an_instance("r", "10.64.128.2", generation=2), an_instance("r", "10.64.128.1")]
    assert locate(both, "demo")["r"].address == IPv4Address("10.64.128.2")


def test_instances_of_another_fleet_are_not_in_the_names() -> None:
    assert not locate([an_instance("r", "10.64.128.1", fleet="other")], "demo")


def test_a_fleet_that_nobody_announced_has_no_names(tmp_path: Path) -> None:
    relays = PublishedRelays(tmp_path, list, Clock())
    assert relays.find("demo") is None
    assert relays.find("../demo") is None


def test_only_its_owner_can_read_what_was_announced(tmp_path: Path) -> None:
    announce_fleet(tmp_path, "demo", "postgresql://user:secret@host/db")
    (file,) = (tmp_path / "fleets").iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert find_store(tmp_path, "demo") == "postgresql://user:secret@host/db"


RELAYS = tuple(
    Published(region, IPv4Address(f"10.64.128.{number}"))
    for number, region in enumerate(["eu-1"] * 10 + ["us-1"] * 2, start=1)
)


def ask(name: str, kind: str = "A") -> DNSRecord:
    find = {"demo": RELAYS, "empty": ()}.get
    return answer(DNSRecord.question(name, kind), find, CHANCE)


def test_at_most_eight_answers_are_given_another_choice_each_time_with_a_short_life() -> None:
    replies = [ask("relays.demo.lab") for _ in range(20)]
    assert {len(reply.rr) for reply in replies} == {8}
    assert {record.ttl for reply in replies for record in reply.rr} == {5}
    assert {str(r.rdata) for reply in replies for r in reply.rr} == {str(relay.address) for relay in RELAYS}


def test_a_region_s_name_has_its_own_relays_alone() -> None:
    reply = ask(relays_name("demo", "us-1"))
    assert {str(record.rdata) for record in reply.rr} == {"10.64.128.11", "10.64.128.12"}


@pytest.mark.parametrize(
    ("name", "kind", "code"),
    [
        ("relays.nobody.lab", "A", "NXDOMAIN"),
        ("relays.empty.lab", "A", "NOERROR"),
        ("RELAYS.empty.LAB", "A", "NOERROR"),
        ("relays.demo.lab", "AAAA", "NOERROR"),
        ("relays.demo.example", "A", "REFUSED"),
        ("example.org", "A", "REFUSED"),
    ],
)
def test_other_questions_get_no_address(name: str, kind: str, code: str) -> None:
    reply = ask(name, kind)
    assert RCODE.get(reply.header.rcode) == code
    assert reply.rr == []


def test_a_record_that_cannot_be_read_says_nothing_about_any_relay() -> None:
    def refuse(_: str) -> None:
        raise StoreRefused("locked")

    reply = answer(DNSRecord.question("relays.demo.lab"), refuse, CHANCE)
    assert RCODE.get(reply.header.rcode) == "SERVFAIL"


def test_a_question_over_the_wire_gets_addresses_and_their_life() -> None:
    server = serve_names({"demo": RELAYS[-2:]}.get, "127.0.0.1")
    try:
        got = asyncio.run(ask_names("127.0.0.1", server.port, "us-1.relays.demo.lab."))
        assert set(got.addresses) == {"10.64.128.11", "10.64.128.12"}
        assert got.time_to_live == timedelta(seconds=5)
        for name, said in (("relays.nobody.lab.", "NXDOMAIN"), ("eu-1.relays.demo.lab.", "has no addresses")):
            with pytest.raises(NamesUnanswered, match=said):
                asyncio.run(ask_names("127.0.0.1", server.port, name))
    finally:
        server.close()


def test_a_resolver_that_is_not_there_is_said_so() -> None:
    server = serve_names({}.get, "127.0.0.1")
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
