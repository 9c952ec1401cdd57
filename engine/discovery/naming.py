"""What a selected process is called, by the rules of Beyla 3."""

from __future__ import annotations

import os
from collections.abc import Iterable

from engine.core.sanitise import clean
from engine.discovery.candidate import Candidate
from engine.discovery.criteria import Criterion
from engine.discovery.trace import ServiceName

_DELETED = " (deleted)"


def service_name(criteria: Iterable[Criterion], candidate: Candidate) -> ServiceName:
    """The name of a process that these criteria selected.

    A later criterion's name counts before an earlier one's. The process's own environment counts
    before them all, and what nobody names is called like its executable.
    """
    name, namespace, source = "", "", ""
    for criterion in criteria:
        if criterion.name:
            name, source = criterion.name, criterion.where
        namespace = criterion.namespace or namespace
    attributes = _resource_attributes(candidate.environ.get("OTEL_RESOURCE_ATTRIBUTES", ""))
    own = candidate.environ.get("OTEL_SERVICE_NAME", "")
    if own and not own.startswith("$"):
        name, source = own, "its OTEL_SERVICE_NAME"
    elif attributes.get("service.name"):
        name, source = attributes["service.name"], "its OTEL_RESOURCE_ATTRIBUTES"
    namespace = attributes.get("service.namespace") or namespace
    if not name:
        exe = candidate.exe.removesuffix(_DELETED)
        name, source = os.path.basename(exe), "the executable"
    return ServiceName(clean(name), clean(namespace), clean(source))


def exports(criteria: Iterable[Criterion]) -> tuple[str, ...] | None:
    """What is exported of it: the last criterion that says so counts; None means everything."""
    last = None
    for criterion in criteria:
        last = last if criterion.exports is None else criterion.exports
    return last


def _resource_attributes(text: str) -> dict[str, str]:
    pairs = (pair.partition("=") for pair in text.split(","))
    return {
        key.strip(): value.strip()
        for key, _, value in pairs
        if value and not value.strip().startswith("$")
    }
