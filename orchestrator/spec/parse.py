"""The text of a fleet file → FleetSpec, or everything that is wrong with it, each with its line.

Pure: `parse_fleet_text` reads no file and asks nobody. The order is: text to values (`document.py`), values to models, then
the rules over several fields, which run on whatever is valid, so that one look shows all errors. What lies in the network
folder is looked at in `network.py`.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from orchestrator.spec import rules, rules_publish, rules_regions, rules_rollout
from orchestrator.spec.document import Document, read_document
from orchestrator.spec.expectations import explain, explain_blank
from orchestrator.spec.findings import Finding, Path, render_findings, render_path
from orchestrator.spec.model import FleetSpec
from orchestrator.spec.section import Section, mark_invalid

RULES = (*rules.RULES, *rules_regions.RULES, *rules_rollout.RULES, *rules_publish.RULES)


@dataclass(frozen=True, slots=True)
class ParsedFleet:
    """A fleet file without errors, and where everything stands in it, for checks that come later."""

    spec: FleetSpec
    document: Document

    def finding(self, path: Path, text: str) -> Finding:
        """Return a finding about a value of this file: `found …, expected …`."""
        return Finding(self.document.line_of(path), render_path(path), text)


def parse_fleet_text(content: bytes, name: str) -> ParsedFleet | tuple[str, ...]:
    """Return the fleet, or one line for each error; `name` is what the lines call the file. Never raises."""
    document = read_document(content)
    if isinstance(document, Finding):
        return render_findings(name, [document])
    spec, errors = _validate(document)
    findings = [*document.findings, *explain_blank(document), *(explain(error, document) for error in errors)]
    invalid = mark_invalid([*document.refused, *map(_path_of, errors)])
    fleet = Section(document, invalid, FleetSpec)
    findings += [finding for rule in RULES for finding in rule(fleet)]
    if findings or spec is None:
        return render_findings(name, findings)
    return ParsedFleet(spec, document)


def _validate(document: Document) -> tuple[FleetSpec | None, list[ErrorDetails]]:
    """Return the models or pydantic's errors, without those about values that were refused before."""
    try:
        return FleetSpec.model_validate(document.value), []
    except ValidationError as error:
        errors = error.errors(include_url=False)
        return None, [one for one in errors if not _is_refused(_path_of(one), document)]


def _path_of(error: ErrorDetails) -> Path:
    return error["loc"][:-1] if error["loc"][-1:] == ("[key]",) else error["loc"]


def _is_refused(path: Path, document: Document) -> bool:
    return any(path[:length] in document.refused for length in range(len(path) + 1))
