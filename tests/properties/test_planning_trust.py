"""What holds of every judgement, whatever the witnesses say."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.fleet.chain import ChainPoint
from orchestrator.fleet.observation import Sighting, Verdict
from orchestrator.fleet.record import Evidence, Pin
from orchestrator.planning.look import Look
from orchestrator.planning.plan import Phase
from orchestrator.planning.points import MOST_BRANCHES, MOST_SPARSE_POINTS, note_points
from orchestrator.planning.reconcile import plan_fleet
from orchestrator.planning.trust import Judgement, Stand, judge_chain
from orchestrator.simulation.chain import SLOTS_A_BLOCK, Branch, SimulatedChain
from tests.scenarios.looks import serving_look

QUIET = settings(deadline=None, max_examples=80)

FIRST_SLOT = 100_000
PARTNERS = ("alpha", "beta")
NAMES = tuple(sorted(serving_look().seen.sightings))

Parted = dict[str, tuple[str, int, int]]
"""Name → branch, the block at which that branch left the main one, and how slowly it grows."""

starts = st.tuples(st.integers(0, 30), st.integers(1, 4))

branches = st.builds(
    lambda sides, starts: {name: (side, *starts[side]) for name, side in sides.items()},
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("one", "two")), max_size=len(NAMES)),
    st.fixed_dictionaries({"one": starts, "two": starts}),
)
liars = st.dictionaries(st.sampled_from(NAMES), st.sampled_from((0, 1, 10**12)), max_size=2)
"""Name → block number that it tells, with a tip that nobody else has."""

stalls = st.dictionaries(st.sampled_from(NAMES), st.integers(0, 40), max_size=4)
silent = st.sets(st.sampled_from(NAMES), max_size=6)
releases = st.dictionaries(st.sampled_from(NAMES), st.sampled_from(("10.5.1", "10.6.0")))


def make_chain(parted: Parted, stalled: dict[str, int]) -> SimulatedChain:
    chain = SimulatedChain()
    for name, (branch, block, slowness) in parted.items():
        chain.branches[name] = Branch(branch, FIRST_SLOT + block * SLOTS_A_BLOCK, slowness)
    for name, block in stalled.items():
        chain.stalled_at[name] = FIRST_SLOT + block * SLOTS_A_BLOCK
    return chain


def see(chain: SimulatedChain, slot: int, points: list[ChainPoint], mute: set[str]) -> dict[str, Sighting]:
    seen = {}
    for name in NAMES:
        tip, block = chain.tip_of(name, slot)
        known = chain.select_known(name, slot, points)
        seen[name] = Sighting(
            Verdict.OK, "", tip.slot, block, tip.hash, float(slot - tip.slot), asked=frozenset(points), has=known
        )
        if name in mute:
            seen[name] = Sighting(Verdict.HANDSHAKE_TIMEOUT, "")
    return seen


def look_on(
    chain: SimulatedChain, blocks: int, mute: set[str], running: dict[str, str], pin: Pin | None = None
) -> tuple[Look, Judgement]:
    """The last of so many looks, one a block."""
    look, judged = serving_look(), None
    look = replace(look, record=replace(look.record, evidence=Evidence(), pin=pin))
    for block in range(blocks):
        slot = FIRST_SLOT + block * SLOTS_A_BLOCK
        points = [shown.point for shown in look.record.evidence.points] + ([pin.point] if pin else [])
        look = replace(look, seen=replace(look.seen, sightings=see(chain, slot, points, mute)))
        judged = judge_chain(look, running)
        last = look
        look = replace(look, record=replace(look.record, evidence=judged.evidence))
    assert judged is not None
    return last, judged


@QUIET
@given(branches, stalls, silent, releases)
def test_nobody_is_quarantined_without_a_partner_on_the_other_side(
    parted: Parted, stalled: dict[str, int], mute: set[str], running: dict[str, str]
) -> None:
    chain = make_chain(parted, stalled)
    _, judged = look_on(chain, 45, mute, running)
    sides = {parted[p][0] if p in parted else "main" for p in PARTNERS if p not in mute}
    if judged.quarantines:
        assert sides
    for name in judged.quarantines:
        side = parted[name][0] if name in parted else "main"
        assert {side} != sides, f"{name} is quarantined though all partners are with it"


@QUIET
@given(stalls, silent, releases)
def test_who_never_parted_is_never_quarantined(
    stalled: dict[str, int], mute: set[str], running: dict[str, str]
) -> None:
    _, judged = look_on(make_chain({}, stalled), 30, mute, running)
    assert not judged.quarantines
    assert judged.halted is None


@QUIET
@given(liars, silent, silent, silent)
def test_whatever_others_tell_who_never_parted_is_never_quarantined(
    told: dict[str, int], mute: set[str], reticent: set[str], battling: set[str]
) -> None:
    """Liars, peers that answer now and then, that tell no points, and slot battles."""
    chain = SimulatedChain()
    look = replace(serving_look(), record=replace(serving_look().record, evidence=Evidence()))
    for block in range(45):
        slot = FIRST_SLOT + block * SLOTS_A_BLOCK
        chain.false_tips = {n: (ChainPoint(slot, f"{NAMES.index(n):064d}"), number) for n, number in told.items()}
        chain.battles = dict.fromkeys(battling, 1) if block % 3 == 0 else {}
        points = [shown.point for shown in look.record.evidence.points]
        seen = see(chain, slot, points, mute if block % 2 else set())
        for name in reticent:
            seen[name] = replace(seen[name], asked=frozenset(), has=frozenset())
        look = replace(look, seen=replace(look.seen, sightings=seen))
        judged = judge_chain(look, {})
        assert judged.quarantines.keys() <= told.keys()
        look = replace(look, record=replace(look.record, evidence=judged.evidence))


@QUIET
@given(st.sampled_from([name for name in NAMES if name not in PARTNERS]), st.integers(1, 5), st.integers(0, 8))
def test_a_fork_is_found_under_a_pin_and_however_slow(name: str, slowness: int, block: int) -> None:
    chain = make_chain({name: ("one", block, slowness)}, {})
    tip, _ = chain.tip_of("alpha", FIRST_SLOT - SLOTS_A_BLOCK)
    pin = Pin(tip, "operator", "a test", serving_look().now)
    _, judged = look_on(chain, block + 10 * slowness + 2, set(), {}, pin)
    assert set(judged.quarantines) == {name}


@QUIET
@given(branches, stalls)
def test_verdicts_do_not_depend_on_the_order_of_witnesses(parted: Parted, stalled: dict[str, int]) -> None:
    look, judged = look_on(make_chain(parted, stalled), 20, set(), {})
    backwards = dict(reversed(list(look.seen.sightings.items())))
    again = judge_chain(replace(look, seen=replace(look.seen, sightings=backwards)), {})
    assert again == judged


@QUIET
@given(branches, stalls, silent)
def test_no_plan_publishes_who_is_quarantined(parted: Parted, stalled: dict[str, int], mute: set[str]) -> None:
    look, _ = look_on(make_chain(parted, stalled), 40, mute, {})
    plan = plan_fleet(look)
    assert not [v.name for v in plan.relays if v.published and v.phase is Phase.QUARANTINED]


@QUIET
@given(st.sampled_from(NAMES), st.integers(0, 10))
def test_a_lone_fork_is_found_whoever_it_is(name: str, block: int) -> None:
    _, judged = look_on(make_chain({name: ("one", block, 1)}, {}), 30, set(), {})
    assert judged.verdicts[name].stand is Stand.FORKED
    assert set(judged.quarantines) == ({name} if name not in PARTNERS else set()) or name in PARTNERS


@QUIET
@given(st.lists(st.integers(0, 3000), min_size=1, max_size=40), st.integers(1, 50))
def test_the_points_kept_are_few_and_reach_back(blocks: list[int], fork_depth: int) -> None:
    chain = SimulatedChain()
    points: tuple = ()
    for block in sorted(blocks):
        slot = FIRST_SLOT + block * SLOTS_A_BLOCK
        points = note_points(points, see(chain, slot, [], set()), serving_look().now, fork_depth)
    assert len(points) <= fork_depth + MOST_SPARSE_POINTS + MOST_BRANCHES
    newest = points[0].block
    assert newest == FIRST_SLOT // SLOTS_A_BLOCK + max(blocks)
    heights = {shown.block for shown in points}
    shown = {FIRST_SLOT // SLOTS_A_BLOCK + block for block in blocks}
    assert {height for height in shown if newest - height <= fork_depth} <= heights
    assert min(heights) == min(shown) or len(heights) > 1


def test_the_points_kept_do_not_depend_on_the_order_of_sightings() -> None:
    seen = see(make_chain({"alpha": ("one", 0, 1)}, {"beta": 3}), FIRST_SLOT + 200, [], set())
    some = list(seen.items())[:4]
    results = {note_points((), dict(order), serving_look().now, 5) for order in permutations(some)}
    assert len(results) == 1
