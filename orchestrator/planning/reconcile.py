"""Start here: from what is wanted, seen and recorded to one plan. Pure: no clock, no I/O, no logging, no randomness.

Phases: assess (where is each relay, and is it to be trusted) → mesh (who names whom) → render (what must lie on each host) →
plan (one step a relay, under one budget). What is unsafe is refused by `checks`, by the caller, always.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from orchestrator.fleet.observation import HostFacts, InstanceState, Observation
from orchestrator.planning.assembling import assemble_plan, hold_all
from orchestrator.planning.assess import Slot, assess_relay, list_slots
from orchestrator.planning.budget import Budget, count_budget
from orchestrator.planning.draining import DRAIN, keep_drained, list_asked, list_draining
from orchestrator.planning.launching import plan_launch
from orchestrator.planning.look import Look
from orchestrator.planning.mesh import list_naming, plan_mesh, relay_addresses, render_mesh
from orchestrator.planning.notes import add_notes
from orchestrator.planning.plan import DISTURBING, Action, Deploy, Health, Hold, Launch, Phase, Plan, RelayView, Stop
from orchestrator.planning.reload_notes import find_reachable, why_reload_not_taken
from orchestrator.planning.replacing import is_other_kind, plan_idle_successor
from orchestrator.planning.retiring import list_leaving, plan_older_generations, plan_releases, plan_surplus
from orchestrator.planning.rollout import Course, steer_rollout
from orchestrator.planning.rollout_report import UPDATE, report_rollout, wait_for_rollout
from orchestrator.planning.settling import gets_on
from orchestrator.planning.silence import is_missed_briefly, is_mostly_unknown, why_keys_disagree
from orchestrator.planning.standing import apply_judgement, list_releases
from orchestrator.planning.steps import Goal, plan_step
from orchestrator.planning.trust import Judgement, judge_chain
from orchestrator.planning.waves import link_mesh
from orchestrator.rendering.values import RenderedRelay
from orchestrator.rendering.variables import baseline_digest

RELOAD_PATIENCE = 5
"""Pauses between tries for which a reload that was not taken up is waited for before an operator is asked."""

DARK_REGION = "dark-region:"

BUDGETED = ("restart", "stop")
"""What holds for want of budget are called."""


def plan_fleet(look: Look) -> Plan:
    """Decide the next step of every relay."""
    relays = look.wanted.relays
    slots = list_slots(relays, look)
    judged = judge_chain(look, list_releases(slots, look))
    assessed = [assess_relay(slot, look) for slot in slots]
    views = {view.name: apply_judgement(view, judged, look) for view in assessed}
    if (because := _why_hold_all(assessed, judged, look)) is not None:
        return hold_all(views, because, judged, look)
    mesh = plan_mesh(look.spec, frozenset(judged.quarantines), addresses := relay_addresses(look.spec, look.seen))
    wish = render_mesh(look.wanted, mesh, addresses)
    links, naming = link_mesh(mesh.neighbours), list_naming(mesh, addresses)
    course = steer_rollout(look, slots, views, wish, links, judged)
    rendered = course.rendered
    reachable = find_reachable(look.seen, look.spec, look.now)
    views = {name: add_notes(view, rendered[name], reachable, look) for name, view in views.items()}
    budget = replace(
        _count_budget(views, course, look), halted=judged.halted, gates=course.barred, exempt=course.going_back
    )
    budget = replace(budget, unstaged=_list_unstaged(slots, wish, course, look))
    out_before, asked = len(budget.out), list_asked(look)
    steps: list[Action | Hold] = []
    planned: Counter[str] = Counter()
    for slot in _most_out_first(slots, views, course, look):
        name = slot.relay.name
        later = wish[name] if course.stages_wish else None
        goal = Goal(rendered[name], later, course.kinds[name], naming[name])
        view, step = _plan_slot(slot, views[name], goal, look, budget, planned)
        step = step or _wait_for_reload(view, rendered[name], reachable, look) or wait_for_rollout(course, view, look)
        step = _tell_if_recovers(step, name, course, judged, look)
        if name in asked and (step is None or (isinstance(step, Hold) and step.wanted == UPDATE)):
            step = keep_drained(view, asked[name], look, budget) or step
        views[name] = view
        if _takes_out(step):
            budget = budget.take(name, view.region)
        if isinstance(step, Launch):
            planned[step.subnet] += 1
        if step is not None:
            steps.append(step)
        steps.extend(plan_older_generations(slot, view, look))
        steps.extend(plan_idle_successor(slot, goal.kind, look))
    surplus_views, surplus_steps, budget = plan_surplus({relay.name for relay in relays}, look, budget)
    steps.extend(surplus_steps)
    steps.extend(plan_releases(slots, views, look))
    steps = _tell_what_passes(_one_action_each(steps, look.seen), views.values(), budget, course, look)
    plan = assemble_plan(
        [*views.values(), *surplus_views],
        steps,
        max(out_before, len(budget.out)),
        judged,
        look,
        withheld=course.withheld,
    )
    return replace(plan, rollout=report_rollout(course, links, plan, look))


def _takes_out(step: Action | Hold | None) -> bool:
    """Whether a step takes a relay out that serves."""
    match step:
        case Deploy(disturbs=disturbs):
            return disturbs
        case Stop():
            return True
        case Hold(wanted=wanted):
            return wanted == DRAIN
        case _:
            return False


def _plan_slot(
    slot: Slot, view: RelayView, goal: Goal, look: Look, budget: Budget, planned: Mapping[str, int]
) -> tuple[RelayView, Action | Hold | None]:
    """Decide one slot: work under way, nothing to be known, no living instance, or the next step of a living one."""
    work = look.seen.in_flight.get(view.name)
    if work is not None:
        seconds = (look.now - work.since).total_seconds()
        because = f"{work.progress or f'{work.intent} is under way'} since {seconds:.0f} s"
        return view, Hold(view.name, work.intent, because, passes=True)
    if view.phase is Phase.UNKNOWN and not _may_be_worked_on(slot, look):
        return view, Hold(view.name, "look", view.reason, passes=is_missed_briefly(slot.current, look))
    if view.phase in (Phase.ABSENT, Phase.DEAD):
        return view, plan_launch(slot, view.reason, look, planned, goal.kind)
    if slot.current is None or slot.current.state is InstanceState.PENDING:
        return view, Hold(view.name, "launch", view.reason, passes=True)
    return plan_step(slot, view, goal, baseline_digest(look.spec), look, budget, planned)


def _wait_for_reload(view: RelayView, rendered: RenderedRelay, reachable: Mapping[str, str], look: Look) -> Hold | None:
    """Report a reload that was not taken up: a while of patience, then somebody has to look."""
    facts = look.seen.hosts.get(view.instance.instance_id) if view.instance is not None else None
    if not isinstance(facts, HostFacts) or (untaken := why_reload_not_taken(facts, rendered, reachable)) is None:
        return None
    patience = look.spec.rollout.retry_after * RELOAD_PATIENCE
    passes = (facts.reloaded_seconds_ago or 0.0) < patience.total_seconds()
    return Hold(view.name, "reload", untaken, passes=passes)


def _tell_if_recovers(
    step: Action | Hold | None, name: str, course: Course, judged: Judgement, look: Look
) -> Action | Hold | None:
    """Waiting until a relay serves passes while there is hope: in quarantine if it agrees again, after a restart if it gets on."""
    if not isinstance(step, Hold) or step.wanted != "serve":
        return step
    quarantine, told = judged.quarantines.get(name), course.record.restarts.get(name)
    if quarantine is not None and quarantine.agreeing_since is not None:
        return replace(step, passes=True)
    if told is not None and not gets_on(told, look):
        return replace(step, passes=False)
    return replace(step, passes=name in course.recovering) if quarantine is not None else step


def _may_be_worked_on(slot: Slot, look: Look) -> bool:
    """Whether the host answered, and record and tag do not quarrel about its key."""
    if slot.current is None or why_keys_disagree(slot.current, look.record) is not None:
        return False
    return isinstance(look.seen.hosts.get(slot.current.instance_id), HostFacts)


def _list_unstaged(
    slots: Sequence[Slot], wish: Mapping[str, RenderedRelay], course: Course, look: Look
) -> frozenset[str]:
    """Name the relays that can be asked and have not staged what is wanted.

    Until there are none, no relay that answers is disturbed: a release that cannot be downloaded, or a disk without
    room for it, shows before anything was.
    """
    unstaged = {name for name, work in look.seen.in_flight.items() if work.intent == "stage"}
    for slot in slots:
        name = slot.relay.name
        facts = look.seen.hosts.get(slot.current.instance_id) if slot.current is not None else None
        # What is about to be replaced by another instance needs nothing any more.
        goes = slot.current is not None and is_other_kind(slot.current, course.kinds[name])
        if isinstance(facts, HostFacts) and facts.prepared and not goes:
            goals = [course.rendered[name], *([wish[name]] if course.stages_wish else [])]
            wanted = {part for goal in goals for part in (goal.release.sha256, goal.network_digest)}
            if not wanted <= facts.staged:
                unstaged.add(name)
    return frozenset(unstaged)


def _one_action_each(steps: Sequence[Action | Hold], seen: Observation) -> list[Action | Hold]:
    """At most one work on a relay at a time: the first planned one; what is under way already comes before all."""
    busy = set(seen.in_flight)
    result: list[Action | Hold] = []
    for step in steps:
        if isinstance(step, Hold):
            result.append(step)
        elif step.relay in busy:
            what = type(step).__name__.lower()
            result.append(Hold(step.relay, what, f"{step.reason}; one work at a time on a relay", passes=True))
        else:
            busy.add(step.relay)
            result.append(step)
    return result


def _tell_what_passes(
    steps: Sequence[Action | Hold], views: Iterable[RelayView], budget: Budget, course: Course, look: Look
) -> list[Action | Hold]:
    """Waiting for the budget, or for one's turn, ends by itself only if one of those waited for is on its way."""
    moving = {s.relay for s in steps if not isinstance(s, Hold) or (s.passes and s.wanted not in (*BUDGETED, UPDATE))}
    moving |= course.withheld | _list_coming_back(views, course, look)  # looks alone bring them back
    before = look.record.rollout.draining
    moving |= (
        before.keys() - list_draining(steps, look).keys() if before else set()
    )  # counted as out in this look alone
    passes = bool(moving & (budget.out | budget.unstaged))
    waved = {name for wave in course.waves for name in wave}
    turn_comes = course.moving or bool(moving & waved)
    told: list[Action | Hold] = []
    for step in steps:
        if isinstance(step, Hold) and step.wanted in BUDGETED:
            gated = step.relay in course.gates and step.relay not in budget.exempt
            told.append(replace(step, passes=turn_comes and course.runs if gated else passes))
        elif isinstance(step, Hold) and step.wanted == UPDATE:
            told.append(replace(step, passes=turn_comes and course.runs))
        else:
            told.append(step)
    return told


def _count_budget(views: Mapping[str, RelayView], course: Course, look: Look) -> Budget:
    """Count who is out. Who serves again after its restart, but in too few looks to be published, is not back yet."""
    busy = {name for name in views if name in course.withheld} | _list_coming_back(views.values(), course, look)
    busy |= {name for name, work in look.seen.in_flight.items() if work.intent in DISTURBING}
    busy |= look.record.rollout.draining.keys() & views.keys()
    for view in views.values():  # what a controller that died had begun goes on without it
        host = look.seen.hosts.get(view.instance.instance_id) if view.instance is not None else None
        if isinstance(host, HostFacts) and host.working in DISTURBING:
            busy.add(view.name)
    confirmed = look.record.confirmed_retirements
    dark = frozenset(name.removeprefix(DARK_REGION) for name in confirmed if name.startswith(DARK_REGION))
    budget = count_budget(views.values(), look.spec, frozenset(busy), dark)
    for name in list_leaving(list(views), look):
        budget = budget.take(name, "")
    return budget


def _list_coming_back(views: Iterable[RelayView], course: Course, look: Look) -> frozenset[str]:
    """Name the relays that do not serve and were told to restart not long ago, or have got on since."""
    told = course.record.restarts
    down = {view.name for view in views if view.health is not Health.HEALTHY}
    return frozenset(n for n in down & told.keys() if told[n].served_at is None and gets_on(told[n], look))


def _most_out_first(slots: tuple[Slot, ...], views: Mapping[str, RelayView], course: Course, look: Look) -> list[Slot]:
    """Relays that are down anyway go first: they cost nothing, and mending them gives the budget back.

    Then those that drain already, or go back; then in the order of their waves.
    """
    draining = look.record.rollout.draining

    def place(slot: Slot) -> tuple[bool, bool, bool, int, str]:
        name = slot.relay.name
        last = len(course.waves)
        return (
            views[name].phase is Phase.SERVING,
            name not in draining,
            name not in course.going_back,
            course.order.get(name, last),
            name,
        )

    return sorted(slots, key=place)


def _why_hold_all(assessed: Sequence[RelayView], judged: Judgement, look: Look) -> str | None:
    """Return why nothing at all is done: what is seen may not be so."""
    elsewhere = [view for view in assessed if view.region not in look.by.dark_regions]
    if is_mostly_unknown(elsewhere, look):
        unknown = sum(1 for view in elsewhere if view.phase in (Phase.UNKNOWN, Phase.DEAD))
        return f"{unknown} of {len(elsewhere)} relays do not answer: the controller itself is probably cut off; nothing is done"
    return judged.all_stale
