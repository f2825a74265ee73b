"""What our modules use of AnsibleModule, under the same names, for runs that do not bring Ansible's own to the host.

Options are completed and checked for presence, kind and choices; what they mean is checked by the modules.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from typing import Any, NoReturn

_KINDS: Mapping[str, type] = {"str": str, "int": int, "bool": bool, "list": list, "dict": dict}
_request: dict[str, Any] = {}


class AnsibleModule:
    """One run: `params`, `check_mode`, and an answer by `exit_json` or `fail_json`, either of which ends it."""

    def __init__(self, argument_spec: Mapping[str, Mapping[str, Any]], *, supports_check_mode: bool = False) -> None:
        self.check_mode = bool(_request["check"])
        self._diff = bool(_request["diff"])
        if self.check_mode and not supports_check_mode:
            self.exit_json(skipped=True, msg="this module cannot say what it would do")
        try:
            self.params = read_options(argument_spec, _request["options"])
        except ValueError as problem:
            self.fail_json(msg=str(problem))

    def exit_json(self, **answer: object) -> NoReturn:
        """Answer, and end."""
        sys.stdout.write(json.dumps({"changed": False, **answer}) + "\n")
        sys.exit(0)

    def fail_json(self, msg: str, **answer: object) -> NoReturn:
        """Answer that it failed, and end."""
        sys.stdout.write(json.dumps({**answer, "failed": True, "msg": msg}) + "\n")
        sys.exit(1)


def read_options(spec: Mapping[str, Mapping[str, Any]], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with their defaults. Raises ValueError naming what is unknown, missing or of another kind."""
    if unknown := sorted(set(given) - set(spec)):
        raise ValueError(f"there is no option {', '.join(unknown)}; there are {', '.join(sorted(spec))}")
    options = {name: given.get(name) for name in spec}
    for name, rule in spec.items():
        if options[name] is None:
            if rule.get("required"):
                raise ValueError(f"option {name} is missing")
            options[name] = rule.get("default")
        else:
            options[name] = _read(name, rule, options[name])
    return options


def _read(name: str, rule: Mapping[str, Any], value: object) -> object:
    kind = _KINDS[rule["type"]]
    if kind in {str, int} and isinstance(value, str | int) and not isinstance(value, bool):
        value = kind(value)  # a number may come as a word from an inventory, and the other way round
    if type(value) is not kind:
        raise ValueError(f"option {name} is {value!r:.80}, expected {rule['type']}")
    if "choices" in rule and value not in rule["choices"]:
        raise ValueError(f"option {name} is {value!r}, expected one of {', '.join(rule['choices'])}")
    if isinstance(value, list) and "options" in rule:
        return [read_options(rule["options"], element) for element in value]
    return value


def start(raw: bytes) -> None:
    """Run the module that the request names. Called by the controller's launcher, once in a process."""
    _request.update(json.loads(raw))
    __import__(_request["module"])
    sys.modules[_request["module"]].main()
