"""The disruption budget, computed in this one place: how many relays are out, and whether one more may be taken.

Out counts for whatever reason: launching, syncing, unknown, failed, being worked on. A relay that is out anyway costs
nothing, so work on it is never charged here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from orchestrator.planning.findings import count
from orchestrator.planning.plan import Health, RelayView
from orchestrator.spec.model import FleetSpec


@dataclass(frozen=True, slots=True)
class Budget:
    """Who is out now, and the relays still in, by region."""

    limit: int
    """Relays of the fleet that may be out at once."""
    limits: Mapping[str, int]
    """The same by region."""
    out: frozenset[str]
    """Relays that do not serve, or will not because work on them was started or planned."""
    serving: frozenset[tuple[str, str]]
    """(region, relay) of those that serve and are not taken."""
    dark_regions: frozenset[str]
    """Regions whose last serving relay may be taken, by the operator's confirmation."""
    alone: frozenset[str] = frozenset()
    """Regions that want a single relay: it can only be taken while all others serve."""
    only: frozenset[str] = frozenset()
    """Their relays."""
    taken: frozenset[str] = frozenset()
    """Relays that work, under way or planned, takes out; a part of `out`."""
    unstaged: frozenset[str] = frozenset()
    """Relays on which what is wanted is not staged yet."""
    halted: str | None = None
    """Why nobody who answers is disturbed at all: the chain itself is in doubt."""
    exempt: frozenset[str] = frozenset()
    """Relays on a release that failed: taking them off it ends the doubt, so `halted` does not hold them."""
    gates: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Relay → why the rollout lets it not be taken yet."""

    def why_not_disturb(self, relay: str, region: str) -> str | None:
        """Return why this serving relay may not be taken out now, with numbers; None if it may."""
        if (held := self._why_held(relay)) is not None:
            return held
        out = self.out - {relay}  # it may drain already, and be charged for
        if len(out) >= self.limit:
            return self._used_up(out)
        if gone := self.only & self.taken - {relay}:
            return (
                f"{name_some(sorted(gone))} is taken, the only relay of its region: all others have to serve meanwhile"
            )
        out_here = sum(1 for name in out if _same_region(name, relay))
        limit_here = self.limits.get(region, 1)
        if out_here >= limit_here:
            return f"{out_here} of {limit_here} relays that may be out in {region} are out"
        others = {name: where for where, name in self.serving if name != relay}
        if region in others.values() or region in self.dark_regions:
            return None
        if region not in self.alone:
            return f"it is the last serving relay of {region}; `--confirm dark-region:{region}` allows it"
        if out:
            return f"it is the only relay of {region}, and others are out ({name_some(sorted(out))})"
        if not others:
            return f"it is the only relay that serves; `--confirm dark-region:{region}` allows it"
        return None

    def why_not_touch(self, relay: str, region: str) -> str | None:
        """Return why a relay that answers without counting as serving may not be restarted now; None if it may.

        It is out already, so restarting it costs the budget nothing; restarting all such relays at once would.
        """
        if (held := self._why_held(relay)) is not None:
            return held
        others = self.taken - {relay}
        here = [name for name in others if _same_region(name, relay)]
        for number, limit in ((len(others), self.limit), (len(here), self.limits.get(region, 1))):
            if number >= limit:
                return f"it still answers, and {number} of {limit} such relays are being restarted ({name_some(sorted(others))})"
        return None

    def why_not_retire(self, relay: str, region: str, *, region_stays: bool) -> str | None:
        """Return why a relay nobody wants any more may not go out now: what leaves draws on the same budget."""
        if relay in self.out:
            return None
        if self.halted is not None:
            return self.halted
        limit_here = self.limits.get(region, 1)
        if len(self.out) >= self.limit:
            return self._used_up(self.out)
        if sum(1 for name in self.out if _same_region(name, relay)) >= limit_here:
            return f"as many of {region} as may be out ({limit_here}) are out"
        if region_stays and not any(where == region for where, _ in self.serving):
            return f"no relay that {region} keeps serves yet"
        return None

    def take(self, relay: str, region: str) -> Budget:
        """Return the budget with this relay out."""
        return replace(
            self, out=self.out | {relay}, serving=self.serving - {(region, relay)}, taken=self.taken | {relay}
        )

    def _why_held(self, relay: str) -> str | None:
        if self.halted is not None and relay not in self.exempt:
            return self.halted
        if relay in self.gates:
            return self.gates[relay]
        # Whoever leaves what failed waits for nobody but itself.
        awaited = (
            self.unstaged & {relay} if relay in self.exempt else self.unstaged - self.exempt | self.unstaged & {relay}
        )
        if not awaited:
            return None
        have = "has" if len(awaited) == 1 else "have"
        return f"{count(len(awaited), 'relay')} {have} not staged what is wanted ({name_some(sorted(awaited))})"

    def _used_up(self, out: Collection[str]) -> str:
        return f"{len(out)} of {self.limit} relays that may be out are out ({name_some(sorted(out))})"


def count_budget(
    views: Iterable[RelayView], spec: FleetSpec, busy: frozenset[str], dark_regions: frozenset[str]
) -> Budget:
    """Count what is out among the wanted relays. `busy` are relays with disturbing work under way: out already."""
    wanted = [view for view in views if not view.retiring]
    serving = {(v.region, v.name) for v in wanted if v.health is Health.HEALTHY and v.name not in busy}
    names = {name for _, name in serving}
    return Budget(
        limit=spec.most_out(),
        limits={region: spec.most_out_in(region) for region in spec.regions},
        out=frozenset(v.name for v in wanted if v.name not in names),
        serving=frozenset(serving),
        dark_regions=dark_regions,
        alone=frozenset(region for region in spec.regions if spec.relay_count(region) == 1),
        only=frozenset(v.name for v in wanted if v.region in spec.regions and spec.relay_count(v.region) == 1),
        taken=busy,
    )


def _same_region(one: str, other: str) -> bool:
    """Whether two relays of one fleet lie in the same region; it is all of their names but the number."""
    return one.rpartition("-")[0] == other.rpartition("-")[0]


def name_some(names: Sequence[str], most: int = 3) -> str:
    """Return the first names, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
