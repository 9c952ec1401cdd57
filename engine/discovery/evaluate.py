"""Criteria tried on a process: all conditions of one, all criteria of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from engine.core.sanitise import clean
from engine.discovery.candidate import Candidate
from engine.discovery.criteria import UNKNOWN, Criterion, NamedPatterns, Pattern
from engine.discovery.glob import Glob
from engine.discovery.naming import exports, service_name
from engine.discovery.policy import Policy
from engine.discovery.trace import ConditionTrace, CriterionTrace, Decision, Verdict

DELETED = " (deleted)"
"""What the kernel appends to the path of an executable that was replaced on disk."""
_HIDDEN = "it may not be read; run as root"
_LEFT_OUT = "its executable may not be read, and Beyla waits until it may (faithful)"
_PORTS_SHOWN = 20


def decide(policy: Policy, candidate: Candidate, parent: Decision | None = None) -> Decision:
    """Decide about a process.

    Every criterion that matches counts; an exclusion beats them all. Where none matches, the
    process shares its parent's selection.

    Args:
        policy: The lists in force.
        candidate: The process.
        parent: What became of its parent, if that is known.
    """
    criteria = tuple(evaluate(each, candidate, policy) for each in policy.finding)
    exclusions = tuple(evaluate(each, candidate, policy) for each in policy.excluding)
    survey = tuple(evaluate(each, candidate, policy) for each in policy.survey)
    matching = [
        criterion
        for criterion, trace in zip(policy.finding, criteria, strict=True)
        if trace.matched
    ]
    left_out = _LEFT_OUT if policy.faithful and "exe" in candidate.hidden else ""
    verdict: Verdict = "not selected"
    if not left_out:
        verdict = _verdict(
            matches=bool(matching),
            inherits=bool(policy.inherit and parent and parent.is_selected),
            surveyed=any(trace.matched for trace in survey),
            excluded=any(trace.matched for trace in exclusions),
        )
    inherits = verdict == "inherited" and parent is not None
    selected = verdict in ("selected", "inherited")
    return Decision(
        candidate.pid,
        verdict,
        policy.in_force,
        criteria,
        exclusions,
        survey,
        inherited_from=parent.pid if inherits and parent else None,
        inherited_text=_root_text(parent) if inherits and parent else "",
        service=service_name(matching, candidate) if selected else None,
        exports=parent.exports if inherits and parent else exports(matching),
        notes=policy.notes,
        left_out=left_out,
    )


def _verdict(*, matches: bool, inherits: bool, surveyed: bool, excluded: bool) -> Verdict:
    if not (matches or inherits or surveyed):
        return "not selected"
    if excluded:
        return "excluded"
    if matches:
        return "selected"
    return "inherited" if inherits else "surveyed"


def _root_text(parent: Decision) -> str:
    """The conditions that an ancestor met."""
    return parent.inherited_text or parent.reason


def evaluate(criterion: Criterion, candidate: Candidate, policy: Policy) -> CriterionTrace:
    """Try every condition of a criterion, in the order in which Beyla does."""
    conditions = tuple(_conditions(criterion, candidate, policy))
    return CriterionTrace(criterion.where, str(criterion), conditions)


def _conditions(
    criterion: Criterion, candidate: Candidate, policy: Policy
) -> Iterator[ConditionTrace]:
    if criterion.target_pids.is_set:
        holds = criterion.target_pids.matches(candidate.pid)
        yield ConditionTrace("target_pids", str(criterion.target_pids), str(candidate.pid), holds)
    if not (criterion.has_local_condition or candidate.metadata):
        yield ConditionTrace(
            "conditions",
            "one on ports, executable, arguments, language or pid, or container metadata",
            "none of these",
            holds=False,
        )
    if criterion.exe_path:
        yield _of_exe("exe_path", criterion.exe_path, candidate, policy.faithful)
    elif criterion.exe_path_regexp:
        yield _of_exe("exe_path_regexp", criterion.exe_path_regexp, candidate, policy.faithful)
    if criterion.cmd_args:
        arguments = candidate.arguments(faithful=policy.faithful)
        holds = criterion.cmd_args.matches(arguments)
        yield ConditionTrace("cmd_args", _written(criterion.cmd_args), _quoted(arguments), holds)
    if criterion.open_ports.is_set or criterion.any_open_port:
        yield _of_ports(criterion, candidate, policy.faithful)
    if criterion.languages:
        yield _of_language(criterion.languages, candidate, policy.system_paths)
    if criterion.containers_only:
        yield _of_namespace(candidate)
    for patterns, values in (
        (criterion.metadata, candidate.metadata),
        (criterion.pod_labels, candidate.pod_labels),
        (criterion.pod_annotations, candidate.pod_annotations),
    ):
        yield from _of_metadata(patterns, values)


def _of_exe(key: str, pattern: Pattern, candidate: Candidate, faithful: bool) -> ConditionTrace:
    """Tried as the kernel names it, and unless faithful also without ` (deleted)`."""
    exe = candidate.exe
    if "exe" in candidate.hidden:
        return ConditionTrace(key, _written(pattern), "hidden", holds=False, note=_HIDDEN)
    holds, note = pattern.matches(exe), ""
    if exe.endswith(DELETED):
        bare = pattern.matches(exe.removesuffix(DELETED))
        if not holds and bare:
            note = "Beyla keeps ' (deleted)' in the path, so this does not match"
            if not faithful:
                holds, note = True, "without ' (deleted)'; Beyla, which keeps it, does not match"
    elif exe == UNKNOWN:
        note = "it has no executable"
    return ConditionTrace(key, _written(pattern), _quoted(exe), holds, note)


def _of_ports(criterion: Criterion, candidate: Candidate, faithful: bool) -> ConditionTrace:
    """Listening ones count; to Beyla every local port does, the ephemeral ones included."""
    wanted = criterion.open_ports
    expected = "any" if criterion.any_open_port else str(wanted)
    hit = [port for port in candidate.ports if criterion.any_open_port or wanted.matches(port)]
    by_client = [port for port in candidate.connection_ports if wanted.matches(port)]
    note, holds = "", bool(hit)
    if by_client and not hit:
        shown = _listed(by_client)
        if faithful:
            holds, note = True, f"by {shown}, the local port of a connection, as Beyla does"
        else:
            note = f"Beyla would match {shown}, the local port of a connection"
    if "ports" in candidate.hidden:
        return ConditionTrace("open_ports", expected, "hidden", holds=False, note=_HIDDEN)
    ports = (*candidate.ports, *(candidate.connection_ports if faithful else ()))
    return ConditionTrace("open_ports", expected, _listed(ports), holds, note)


def _of_language(
    pattern: Pattern, candidate: Candidate, system_paths: Iterable[str]
) -> ConditionTrace:
    language, note = candidate.language, ""
    prefix = next((each for each in system_paths if candidate.exe.startswith(each)), "")
    if prefix and language != UNKNOWN:
        note = f"it is {language}, but below {prefix} no language is looked for"
        language = UNKNOWN
    return ConditionTrace("languages", _written(pattern), language, pattern.matches(language), note)


def _of_namespace(candidate: Candidate) -> ConditionTrace:
    actual = {
        "own": "in the network namespace of the host",
        "other": "in another network namespace",
        "unreadable": "its network namespace cannot be read, which counts as another",
    }[candidate.netns]
    holds = candidate.netns != "own"
    return ConditionTrace("containers_only", "another network namespace", actual, holds)


def _of_metadata(patterns: NamedPatterns, values: Mapping[str, str]) -> Iterator[ConditionTrace]:
    for key, pattern in patterns:
        value = values.get(key)
        yield ConditionTrace(
            clean(key, limit=80),
            _written(pattern),
            "absent" if value is None else _quoted(value),
            value is not None and pattern.matches(value),
        )


def _written(pattern: Pattern) -> str:
    kind = "glob" if isinstance(pattern, Glob) else "regexp"
    return f"{kind} {_quoted(pattern.text)}"


def _quoted(text: str) -> str:
    return f'"{clean(text, limit=300)}"'


def _listed(ports: Iterable[int]) -> str:
    distinct = sorted(set(ports))
    shown = ",".join(map(str, distinct[:_PORTS_SHOWN]))
    more = len(distinct) - _PORTS_SHOWN
    return (f"{shown} and {more} more" if more > 0 else shown) or "none"
