"""The second form of OBI's configuration: OpenTelemetry's declarative one, `extensions.obi`.

Its rules, each of which includes or excludes, become the lists of the first form, as OBI itself
runs them: `capture.policy` and `capture.rules` of its schema version 2.0. The other parts of the
document are about tracers and exports.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from engine.core.sanitise import clean
from engine.discovery.criteria import (
    METADATA,
    Criterion,
    Dialect,
    NamedPatterns,
    Pattern,
    compile_pattern,
    read_pids,
)
from engine.discovery.document import Entry, Place
from engine.discovery.ports import UNSET, PortEnum

_PROCESS = ("open_ports", "target_pids", "containers_only", "exports_otlp")
_PATTERNS = {"exe_path": "exe_path", "cmd_args": "cmd_args", "language": "languages"}
"""Conditions on a process, written `NAME_glob` or `NAME_regex`, and what holds them."""
_LAST = "last_match_wins"
_ORDERS = ("first_match_wins", _LAST)
_ACTIONS = ("include", "exclude")


@dataclass(frozen=True, slots=True)
class Capture:
    """What the document says about which processes are instrumented."""

    place: str
    """Where that stands."""
    lists: Mapping[str, tuple[Criterion, ...]]
    """By name of the list of the first form; one that is missing stays as it is."""
    durations: Mapping[str, Entry]
    """`poll_interval` and `min_process_age`, where they are written."""
    excludes_exporters: bool = False
    """Whether processes that export by themselves are excluded, which cannot be known here."""


def read_capture(document: Mapping[str, Entry]) -> Capture | None:
    """What a document of that form says; None if it is of the first form.

    Raises:
        UsageError: if something in it is wrong; the message names file, line and path.
    """
    if "file_format" not in document:
        return None
    extensions = _members(document.get("extensions"))
    obi = _members(extensions.get("obi"))
    capture = _members(obi.get("capture"))
    policy = _members(capture.get("policy"))
    durations = {key: policy[key] for key in ("poll_interval", "min_process_age") if key in policy}
    place = next(
        (str(found[key].place) for found, key in (
            (capture, "rules"), (obi, "capture"), (extensions, "obi")
        ) if key in found),
        str(document["file_format"].place),
    )  # fmt: skip
    order = _one_of(policy.get("match_order"), _ORDERS) or _ORDERS[0]
    action = _one_of(policy.get("default_action"), _ACTIONS)
    if "rules" not in capture or capture["rules"].is_null:
        everything = action != "exclude"
        lists = {"instrument": (_everything("glob"),)} if everything else {}
        return Capture(place, lists, durations)
    rules = tuple(_rules(capture["rules"].items(), order))
    return Capture(
        place,
        _lists(rules, order, action),
        durations,
        any(criterion is None for _, criterion in rules),
    )


_Rule = tuple[str, Criterion | None]
"""What a rule does, and to which processes; None where that cannot be told here."""


def _lists(rules: Sequence[_Rule], order: str, action: str) -> dict[str, tuple[Criterion, ...]]:
    included = [each for does, each in rules if does == "include" and each]
    excluded = [each for does, each in rules if does == "exclude" and each]
    dialects: list[Dialect] = [each.dialect for each in (*included, *excluded)]
    dialect: Dialect = dialects[0] if dialects else "glob"
    if order != _LAST:
        included.reverse()  # of several that match, the last list entry names the service
    if (action or ("exclude" if included else "include")) == "include":
        included.append(_everything(dialect))
    names = ("instrument", "exclude_instrument")
    if dialect == "regexp":
        names = ("services", "exclude_services")
    return {
        names[0]: tuple(included),
        names[1]: tuple(excluded),
        "default_exclude_instrument": (),
        "default_exclude_services": (),
    }


def _everything(dialect: Dialect) -> Criterion:
    where = "capture.policy.default_action"
    pattern = compile_pattern(dialect, "*" if dialect == "glob" else ".*", Place(where))
    return Criterion(where, dialect, exe_path=pattern)


def _rules(entries: Sequence[Entry], order: str) -> Iterator[_Rule]:
    seen: dict[str, int] = {}
    families: set[Dialect] = set()
    for index, entry in enumerate(entries):
        rule = _Reader(entry, index)
        action = rule.action
        other = "include" if action == "exclude" else "exclude"
        if other in seen and (action == "include") == (order == _LAST):
            raise entry.place.error(
                f"{order} cannot preserve exclusion precedence when an {action} rule follows an "
                f"{other} rule",
                f"move it before capture.rules[{seen[other]}]",
            )
        seen[action] = index
        criterion = rule.criterion()
        if criterion is not None:
            families.add(criterion.dialect)
        if len(families) > 1:
            raise entry.place.error(
                "globs and regular expressions cannot be mixed across capture.rules",
                "write all as *_glob or all as *_regex",
            )
        yield action, criterion


class _Reader:
    """One rule."""

    def __init__(self, entry: Entry, index: int) -> None:
        self._entry = entry
        self._where = f"capture.rules[{index}]"
        self._members = entry.members()
        match = _members(self._members.get("match"))
        _check_keys(match, ("process", "kubernetes"))
        self._process = _members(match.get("process"))
        self._kubernetes = _members(match.get("kubernetes"))
        self._family: Dialect | None = None

    @property
    def action(self) -> str:
        """`include` or `exclude`."""
        if action := _one_of(self._members.get("action"), _ACTIONS):
            return action
        raise self._entry.place.error("the rule has no action", "write include or exclude")

    def criterion(self) -> Criterion | None:
        """What it is about."""
        process = self._process
        known = [f"{name}_{kind}" for name in _PATTERNS for kind in ("glob", "regex")]
        _check_keys(process, (*_PROCESS, *known))
        if "exports_otlp" in process and len(process) == 1 and not self._kubernetes:
            if self.action == "include":
                raise self._entry.place.error(
                    "exports_otlp is only supported for exclude rules", "remove it"
                )
            return None
        patterns = {holder: self._pattern(process, name) for name, holder in _PATTERNS.items()}
        metadata, labels, annotations = self._about_pods()
        criterion = Criterion(
            self._where,
            self._family or "glob",
            open_ports=PortEnum.read(process["open_ports"]) if "open_ports" in process else UNSET,
            target_pids=read_pids(process.get("target_pids")),
            exe_path=patterns["exe_path"],
            cmd_args=patterns["cmd_args"],
            languages=patterns["languages"],
            containers_only="containers_only" in process and process["containers_only"].boolean(),
            metadata=metadata,
            pod_labels=labels,
            pod_annotations=annotations,
            exports=self._exports(),
        )
        if not criterion.has_condition:
            raise self._entry.place.error(
                f"{self._where}.match must define at least one selector",
                "give it process.exe_path_glob, process.open_ports or the like",
            )
        return criterion

    def _about_pods(self) -> tuple[NamedPatterns, NamedPatterns, NamedPatterns]:
        pods = self._kubernetes
        maps = ("metadata_glob", "metadata_regex", "pod_labels", "pod_labels_regex",
                "pod_annotations", "pod_annotations_regex")  # fmt: skip
        _check_keys(pods, ("namespace_glob", "namespace_regex", *maps))
        found: dict[str, list[tuple[str, Pattern]]] = {}
        namespace = self._pattern(pods, "namespace")
        found["metadata"] = [("k8s_namespace", namespace)] if namespace else []
        for name in maps:
            holder = name.removesuffix("_glob").removesuffix("_regex")
            dialect: Dialect = "regexp" if name.endswith("_regex") else "glob"
            for key, entry in _members(pods.get(name)).items():
                named = key.replace(".", "_") if holder == "metadata" else key
                if holder == "metadata" and named not in METADATA:
                    raise entry.place.error(f"unknown metadata {clean(key, limit=80)}")
                found.setdefault(holder, []).append((named, self._compiled(entry, dialect)))
        holders = ("metadata", "pod_labels", "pod_annotations")
        metadata, labels, annotations = (tuple(found.get(holder, ())) for holder in holders)
        return metadata, labels, annotations

    def _pattern(self, entries: Mapping[str, Entry], name: str) -> Pattern | None:
        glob, regex = entries.get(f"{name}_glob"), entries.get(f"{name}_regex")
        if glob is not None and not glob.is_null and (not glob.is_sequence or glob.items()):
            return self._compiled(glob, "glob")
        if regex is not None and regex.text():
            return self._compiled(regex, "regexp")
        return None

    def _compiled(self, entry: Entry, dialect: Dialect) -> Pattern:
        if self._family not in (None, dialect):
            raise entry.place.error(
                f"{self._where}.match cannot combine glob and regular-expression selectors",
                "write all as *_glob or all as *_regex",
            )
        self._family = dialect
        texts = [each.text() for each in entry.items()] if entry.is_sequence else [entry.text()]
        text = texts[0] if len(texts) == 1 else "{" + ",".join(texts) + "}"
        return compile_pattern(dialect, text, entry.place)

    def _exports(self) -> tuple[str, ...] | None:
        refine = _members(self._members.get("refine"))
        if refine and self.action == "exclude":
            raise self._members["refine"].place.error(
                "refine is not supported for exclude rules", "remove it"
            )
        if "exports" not in refine or refine["exports"].is_null:
            return None
        exports = refine["exports"].members()
        return tuple(
            key for key in ("metrics", "traces") if key in exports and exports[key].boolean()
        )


def _members(entry: Entry | None) -> Mapping[str, Entry]:
    return entry.members() if entry is not None else {}


def _check_keys(entries: Mapping[str, Entry], known: Sequence[str]) -> None:
    for key, entry in entries.items():
        if key not in known:
            raise entry.place.error(
                f"unknown selector {clean(key, limit=80)}", f"known are {', '.join(known)}"
            )


def _one_of(entry: Entry | None, known: Sequence[str]) -> str:
    text = entry.text() if entry is not None else ""
    if text and entry is not None and text not in known:
        raise entry.place.error(
            f"unsupported value {clean(text, limit=40)!r}", f"one of {', '.join(known)}"
        )
    return text
