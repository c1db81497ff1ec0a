"""What the script of faults holds for one request."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from reconciler.simulator import batch, errors
from reconciler.simulator.answers import as_html, as_rest, cut
from reconciler.simulator.errors import Refusal
from reconciler.simulator.faults import target
from reconciler.simulator.php import parse_str

if TYPE_CHECKING:
    from reconciler.simulator.faults import Fault, Faults, Target
    from reconciler.simulator.http import Response
    from reconciler.simulator.incoming import Incoming
    from reconciler.simulator.php import PhpArray


@dataclass(slots=True)
class Script:
    """The faults of one request, sorted by when they act."""

    before: list[Fault] = field(default_factory=list)
    after: list[Fault] = field(default_factory=list)
    #: Answered with the fault's error, whether the request is carried out or not.
    instead: Fault | None = None
    #: What happens to the finished answer.
    spoils: Fault | None = None
    #: How many commands of a batch are carried out.
    only_first: int | None = None

    def skips(self) -> bool:
        """Say whether the request is not carried out at all."""
        return self.instead is not None and not self.instead.parameters.get("commit", False)


def script_for(faults: Faults, number: int, incoming: Incoming) -> Script:
    """Sort the faults that happen to this request now."""
    script = Script()
    for fault in faults.for_request(number, lambda: _targets(incoming)):
        if fault.kind in ("human_edit", "delete_contacts"):
            (script.before if fault["moment"] == "before" else script.after).append(fault)
        elif fault.kind == "token_revoked":
            script.before.append(fault)
        elif fault.kind == "partial_batch":
            script.only_first = fault["commands"]
        elif fault.kind in ("lost_answer", "truncated_body", "wrong_json", "empty_answer"):
            script.spoils = fault
        else:
            script.instead = fault
    return script


def answer_instead(fault: Fault, statuses: str) -> tuple[Response, str | None]:
    """Return the fault's answer and, when it is an error of the portal, what to count it as."""
    if fault.kind == "cut_before":
        return cut(), None
    if fault.kind == "html_502":
        return as_html(502, "Bad Gateway"), None
    if fault.kind == "html_504":
        return as_html(504, "Gateway Time-out"), None
    refusal = {"internal_error": errors.INTERNAL, "rate_limited": errors.QUERY_LIMIT}.get(fault.kind)
    if fault.kind == "refused":
        refusal = errors.ANY_TIME[fault["code"]]
    if refusal is None:
        refusal = Refusal(fault["code"], fault["description"], fault["status"])
    return as_rest(refusal.status_as(statuses), refusal.body()), refusal.name


def _targets(incoming: Incoming) -> list[Target]:
    """List the calls of a request, for faults that are meant for a method or a contact."""
    if incoming.address is None:
        return []
    method = incoming.address.method
    found = [target(method, incoming.params)]
    if method == batch.NAME:
        found += _commands(incoming.params)
    return found


def _commands(params: PhpArray) -> list[Target]:
    """List the commands of a batch; a conditional update is meant for the contact that its precondition names."""
    found: dict[str, Target] = {}
    for number, (key, text) in enumerate(batch.commands(params), start=1):
        command = batch.Command.parse(text)
        arguments = parse_str(command.query)
        place = batch.Place(number=number, key=str(key), succeeded=0)
        described = target(command.method.lower(), arguments, place)
        source = found.get(batch.id_source(arguments))
        if source is not None and described.contact is not None:
            described = replace(described, contact=source.listed)
        found[place.key] = described
    return list(found.values())
