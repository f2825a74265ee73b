"""All errors that stop a command, in one tree, an exit code each.

FleetError                       1   anything below, as the command line reports it
├── SpecInvalid                  1   the fleet file is wrong; carries every finding with its line
├── NetworkFolderInvalid         1   config.json or a genesis file is missing or differs
├── AssetsMissing                1   playbooks or templates are not where they belong
├── RenderFailed                 1   a template asked for a value that does not exist
├── CloudRefused                 1   no credentials, no permission, or a call that will never succeed
├── CloudUnavailable             1   throttled or unreachable: worth another try
├── AnsibleNeverRan              1   ansible-playbook did not get as far as a host
├── StoreRefused                 1   a newer schema, another fleet's store, or an unreadable one
├── LeaseHeld                    3   another controller is at work
├── NotOurStore                  4   the fleet's instances belong to another store
├── PlanRefused                  5   the plan is unsafe; names the confirmation that would allow it
└── LabUnavailable               6   this host cannot run the lab, or the lab is not up

Expected failures of single relays are values (outcomes, holds, UNKNOWN), never exceptions.
Each message names the thing, the cause and the next step.
"""

from __future__ import annotations


class FleetError(Exception):
    """Something an operator must know about. `next_step` says what to do, in one sentence."""

    exit_code = 1

    def __init__(self, message: str, *, next_step: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.next_step = next_step

    def __str__(self) -> str:
        return f"{self.message}\n  → {self.next_step}" if self.next_step else self.message


class SpecInvalid(FleetError):
    """The fleet file is wrong. `findings` holds one line for each error: `fleet.yaml:LINE: what …`."""

    def __init__(self, findings: tuple[str, ...]) -> None:
        super().__init__("\n".join(findings))
        self.findings = findings


class NetworkFolderInvalid(FleetError):
    """The network folder lacks a file, or a file is not the one that config.json states."""


class AssetsMissing(FleetError):
    """Playbooks or templates are missing: a broken checkout or a broken installation."""


class RenderFailed(FleetError):
    """A template could not be rendered; names the template and the undefined value."""


class CloudRefused(FleetError):
    """The cloud said no and would say no again: credentials, permission, a bad parameter."""


class CloudUnavailable(FleetError):
    """The cloud could not be asked just now; the same call may succeed later."""


class AnsibleNeverRan(FleetError):
    """The playbook did not reach the point of naming a host; says nothing about any host."""


class StoreRefused(FleetError):
    """The store cannot be used as it is."""


class LeaseHeld(FleetError):
    """Another controller holds the lease; names it and when the lease ends."""

    exit_code = 3


class NotOurStore(FleetError):
    """Instances of this fleet carry another store's id: this controller only reads."""

    exit_code = 4


class PlanRefused(FleetError):
    """The plan does what no plan may do unasked; names the `--confirm` that would allow it."""

    exit_code = 5


class LabUnavailable(FleetError):
    """The lab cannot run here, or is not running."""

    exit_code = 6
