"""One bootstrapping consumer against relays on loopback: how it gets the chain, and what it takes for a failure."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Coroutine
from datetime import timedelta
from typing import Any, TypeVar

import pytest

from orchestrator.lab.consumers.consumer import Consumer, Journey
from orchestrator.lab.consumers.names import Answer, NamesUnanswered
from orchestrator.lab.consumers.outcome import Bootstrapped, Failed, Outcome, summarize
from orchestrator.lab.consumers.visitors import Visitors
from orchestrator.lab.node.header import make_header
from orchestrator.ouroboros.chainsync import BlockPoint, Origin
from tests.lab_relays import LONG, ServedChain, a_journey, make_chain, names_that_say, relays

Result = TypeVar("Result")

SHORT = timedelta(milliseconds=200)
TIP = 120


def play(story: Coroutine[Any, Any, Result]) -> Result:
    async def within_limits() -> Result:
        async with asyncio.timeout(LONG.total_seconds()):
            return await story

    return asyncio.run(within_limits())


def bootstrap(journey: Journey) -> Coroutine[Any, Any, Outcome]:
    return Consumer(1, journey).bootstrap()


def a_chain(last: int = TIP) -> ServedChain:
    return ServedChain(make_chain(range(1, last + 1)))


def reason_of(outcome: Outcome) -> str:
    assert isinstance(outcome, Failed)
    return outcome.reason


def test_a_consumer_takes_every_block_from_genesis_to_the_tip_once() -> None:
    async def story() -> None:
        chain = a_chain()
        async with relays(chain) as (relay,):
            outcome = await bootstrap(a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP))
        assert isinstance(outcome, Bootstrapped)
        assert outcome.seen.blocks == TIP
        assert [point.slot for point in chain.served] == list(range(1, TIP + 1))
        assert chain.asked == [(Origin(),)]
        assert outcome.seen.reconnects == 0

    play(story())


def test_a_relay_that_goes_away_on_the_way_is_no_failure_and_the_next_one_is_asked_for_the_rest_alone() -> None:
    async def story() -> None:
        first, second = a_chain(), a_chain()
        async with relays(first, second) as (leaving, staying):
            gone: list[asyncio.Task[None]] = []

            async def ask() -> Answer:
                # Whoever is still published: at first the one, after it has gone the other.
                return Answer(((staying if gone else leaving).address,), timedelta())

            def leave(served: int) -> None:
                if served == 60:
                    gone.append(asyncio.create_task(leaving.go_away()))

            first.on_block = leave
            outcome = await bootstrap(a_journey(ask, leaving.port, tip_slot=TIP))
        assert isinstance(outcome, Bootstrapped)
        assert outcome.seen.reconnects == 1
        (points,) = second.asked
        newest = points[0]
        assert isinstance(newest, BlockPoint)
        assert newest.slot >= 50
        assert [point.slot for point in second.served] == list(range(newest.slot + 1, TIP + 1))
        assert outcome.seen.stall.duration < timedelta(seconds=5)

    play(story())


def test_a_fourth_unusable_address_in_a_row_is_a_failure_that_names_them_all() -> None:
    async def story() -> None:
        with socket.create_server(("127.0.2.1", 0)) as taken:
            port = taken.getsockname()[1]
        addresses = [f"127.0.2.{number}" for number in range(1, 5)]
        outcome = await bootstrap(a_journey(names_that_say(*addresses), port, tip_slot=TIP))
        reason = reason_of(outcome)
        assert reason.startswith("4 addresses in a row unusable: ")
        assert all(f"{address} (connecting to" in reason for address in addresses)
        assert outcome.seen.unusable == 4

    play(story())


def test_three_unusable_addresses_are_passed_over() -> None:
    async def story() -> None:
        async with relays(a_chain()) as (relay,):
            dead = iter([f"127.0.2.{number}" for number in range(1, 4)])

            async def ask() -> Answer:
                return Answer((next(dead, relay.address),), timedelta())

            outcome = await bootstrap(a_journey(ask, relay.port, tip_slot=TIP))
        assert isinstance(outcome, Bootstrapped)
        assert outcome.seen.unusable == 3

    play(story())


def test_an_address_on_another_network_and_one_that_is_stale_are_unusable() -> None:
    async def story() -> None:
        async with relays(a_chain(), magic=1) as (foreign,):
            journey = a_journey(names_that_say(foreign.address), foreign.port, tip_slot=TIP, patience=SHORT)
            outcome = await bootstrap(journey)
        assert "no progress" in reason_of(outcome)
        assert "refused" in str(outcome.seen.visits[0].problem)
        async with relays(a_chain()) as (stale,):
            journey = a_journey(names_that_say(stale.address), stale.port, tip_slot=TIP + 40, patience=SHORT)
            outcome = await bootstrap(journey)
        assert "no progress" in reason_of(outcome)
        assert outcome.seen.visits[0].problem == "stale: its tip is 41 s old"
        assert outcome.seen.blocks == 0

    play(story())


def test_no_progress_for_as_long_as_patience_lasts_is_a_failure() -> None:
    async def story() -> None:
        async def accept_in_silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()
            writer.close()

        server = await asyncio.start_server(accept_in_silence, "127.0.1.1", 0)
        port = server.sockets[0].getsockname()[1]
        outcome = await bootstrap(a_journey(names_that_say("127.0.1.1"), port, tip_slot=TIP, patience=SHORT))
        server.close()
        assert reason_of(outcome) == "no progress for 0.2 s"
        assert outcome.seen.stall.duration >= SHORT
        assert [visit.problem for visit in outcome.seen.visits] == ["no progress"]

    play(story())


def test_names_without_addresses_are_a_failure_that_says_so() -> None:
    async def ask() -> Answer:
        raise NamesUnanswered("relays.demo.lab. has no addresses")

    outcome = play(bootstrap_later(ask))
    assert reason_of(outcome) == "no progress for 0.2 s; relays.demo.lab. has no addresses"
    assert outcome.seen.visits == ()


async def bootstrap_later(ask: Any) -> Outcome:
    return await bootstrap(a_journey(ask, 1, tip_slot=TIP, patience=SHORT))


def test_a_header_that_does_not_name_the_one_before_is_refused() -> None:
    async def story() -> None:
        blocks = make_chain(range(1, TIP + 1))
        chain = ServedChain(blocks)
        wrong = make_header(61, 62, b"\0" * 32, 0, blocks[61][0].draw, blocks[61][1])
        chain.chain._encoded[61] = wrong.encoded
        async with relays(chain) as (relay,):
            journey = a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP, patience=SHORT)
            outcome = await bootstrap(journey)
        assert "no progress" in reason_of(outcome)
        assert outcome.seen.visits[0].problem == "block 61 of slot 62: it names another previous block"

    play(story())


def test_a_block_that_is_not_its_header_s_is_refused() -> None:
    async def story() -> None:
        chain = a_chain()
        chain.spoil_body = lambda body: body.replace(b"30", b"xx")
        async with relays(chain) as (relay,):
            journey = a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP, patience=SHORT)
            outcome = await bootstrap(journey)
        assert "no progress" in reason_of(outcome)
        problem = outcome.seen.visits[0].problem
        assert problem == "block 29 of slot 30: its body is not the one that its header commits to"

    play(story())


def test_a_header_of_somebody_who_may_not_issue_it_is_refused() -> None:
    async def story() -> None:
        forked = ServedChain(make_chain(range(1, TIP + 1), issuer=9))
        async with relays(forked) as (relay,):
            journey = a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP, patience=SHORT)
            outcome = await bootstrap(journey)
        assert "no progress" in reason_of(outcome)
        assert "the genesis knows no issuer 9" in str(outcome.seen.visits[0].problem)
        assert outcome.seen.visits[0].unusable

    play(story())


def test_a_rollback_on_the_way_is_followed() -> None:
    async def story() -> None:
        blocks = make_chain(range(1, 101))
        chain = ServedChain(blocks)
        others = make_chain(range(41, TIP + 1), issuer=1, after=blocks[39][0])

        def switch(served: int) -> None:
            if served == 50:
                asyncio.get_running_loop().call_soon(chain.switch, 40, others)

        chain.on_block = switch
        async with relays(chain) as (relay,):
            outcome = await bootstrap(a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP))
        assert isinstance(outcome, Bootstrapped)
        # Fifty, then from the forty-first on three batches of the others: near enough to the tip.
        assert outcome.seen.blocks == 50 + 75
        assert chain.served[-1].hash == others[74][0].hash

    play(story())


def test_a_rollback_of_more_than_chains_undo_is_refused() -> None:
    async def story() -> None:
        blocks = make_chain(range(1, 101))
        chain = ServedChain(blocks)
        others = make_chain(range(11, TIP + 1), issuer=1, after=blocks[9][0])

        def switch(served: int) -> None:
            if served == 75:
                asyncio.get_running_loop().call_soon(chain.switch, 10, others)

        chain.on_block = switch
        async with relays(chain) as (relay,):
            journey = a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP, patience=SHORT)
            outcome = await bootstrap(journey)
        assert "no progress" in reason_of(outcome)
        assert "further than chains are undone" in str(outcome.seen.visits[0].problem)

    play(story())


def test_time_taken_of_one_s_own_accord_is_nobody_s_stall() -> None:
    async def story() -> None:
        async with relays(a_chain()) as (relay,):
            ask = names_that_say(relay.address)
            # 120 blocks at 150 a second, which takes longer than the patience lasts.
            journey = a_journey(ask, relay.port, tip_slot=TIP, pace=150, patience=timedelta(milliseconds=500))
            outcome = await bootstrap(journey)
        assert isinstance(outcome, Bootstrapped)
        assert outcome.seen.took > timedelta(milliseconds=600)
        assert outcome.seen.stall.duration < timedelta(milliseconds=500)

    play(story())


def test_a_new_consumer_comes_whenever_one_is_done_until_all_are_sent_home() -> None:
    async def story() -> None:
        async with relays(a_chain(), a_chain()) as (one, other):
            journey = a_journey(names_that_say(one.address, other.address), one.port, tip_slot=TIP)
            stop = asyncio.Event()

            def tell(_: Outcome) -> None:
                if len(visitors.outcomes) == 9:
                    stop.set()

            visitors = Visitors(3, journey, tell)
            await visitors.run(stop, once=False, arrival=timedelta())
            assert len(visitors.outcomes) >= 9
            assert not visitors.present
            assert summarize(visitors.outcomes).failed == 0
            assert len({outcome.seen.number for outcome in visitors.outcomes}) == len(visitors.outcomes)

    play(story())


def test_each_comes_once_if_told_so() -> None:
    async def story() -> None:
        async with relays(a_chain()) as (relay,):
            journey = a_journey(names_that_say(relay.address), relay.port, tip_slot=TIP)
            visitors = Visitors(5, journey)
            await visitors.run(asyncio.Event(), once=True, arrival=timedelta())
        assert [type(outcome) for outcome in visitors.outcomes] == [Bootstrapped] * 5

    play(story())


@pytest.mark.parametrize("once", [True, False])
def test_a_mistake_of_our_own_is_raised_and_not_counted(once: bool) -> None:
    async def story() -> None:
        async def ask() -> Answer:
            raise AssertionError("a mistake")

        visitors = Visitors(2, a_journey(ask, 1, tip_slot=TIP))
        await visitors.run(asyncio.Event(), once=once, arrival=timedelta())

    with pytest.raises(AssertionError, match="a mistake"):
        play(story())
