"""Criteria: the entries of Beyla's discovery lists, each a set of conditions that must all hold.

Format: `discovery.instrument`, `exclude_instrument` and `survey` (globs), `services` and
`exclude_services` (regular expressions) of Beyla 3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.discovery.document import Entry, Place
from engine.discovery.glob import Glob
from engine.discovery.ports import UNSET, PortEnum, PortRange
from engine.discovery.regexp import Regexp
from engine.discovery.unused import UNUSED_OUTPUTS

Dialect = Literal["glob", "regexp"]
Pattern: TypeAlias = Glob | Regexp
NamedPatterns: TypeAlias = tuple[tuple[str, Pattern], ...]

KNOWN_METADATA = ("container_name", "k8s_container_name", "k8s_pod_name", "k8s_namespace")
"""What container runtimes leave on the box."""
_OWNER_METADATA = (
    "k8s_deployment_name", "k8s_replicaset_name", "k8s_daemonset_name", "k8s_statefulset_name",
    "k8s_job_name", "k8s_cronjob_name", "k8s_owner_name",
)  # fmt: skip
"""What only the Kubernetes API tells."""
METADATA = (*KNOWN_METADATA, *_OWNER_METADATA)
_PATTERNS = ("exe_path", "cmd_args", "languages")
_MAPS = ("k8s_pod_labels", "k8s_pod_annotations")
_OUTPUTS = ("name", "namespace", "exports", "sampler", "routes", "metrics")
_KEYS = ("open_ports", "target_pids", "containers_only", *_PATTERNS, *_MAPS, *METADATA, *_OUTPUTS)

LANGUAGES = (
    "go", "java", "dotnet", "python", "ruby", "nodejs", "rust", "php", "cpp", "generic", "unknown",
)  # fmt: skip
"""Every name a language can have in a condition."""
UNKNOWN = "unknown"
"""The executable of a kernel thread, and the language that was not looked for."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """Conditions that must all hold; one that is not set demands nothing."""

    where: str
    """Where it was written: `discovery.instrument[0]`, `BEYLA_OPEN_PORT`."""
    dialect: Dialect = "glob"
    open_ports: PortEnum = UNSET
    target_pids: PortEnum = UNSET
    exe_path: Pattern | None = None
    exe_path_regexp: Regexp | None = None
    """Deprecated; counts only where `exe_path` is not set."""
    cmd_args: Pattern | None = None
    languages: Pattern | None = None
    containers_only: bool = False
    metadata: NamedPatterns = ()
    pod_labels: NamedPatterns = ()
    pod_annotations: NamedPatterns = ()
    name: str = ""
    namespace: str = ""
    exports: tuple[str, ...] | None = None
    """metrics, traces, logs; None means all."""
    unused: tuple[str, ...] = ()
    """The keys it has that have no effect here."""
    survey: bool = False
    """A process it selects is told of, and never instrumented."""
    any_open_port: bool = False
    """Selects every process that has a port: what holds where nothing is configured at all."""

    @property
    def has_condition(self) -> bool:
        """Whether it demands anything."""
        return self.has_local_condition or bool(
            self.exe_path_regexp or self.containers_only or self.about_container
        )

    @property
    def has_local_condition(self) -> bool:
        """Whether it demands something that every process can meet, in a container or not."""
        return bool(self.exe_path or self.languages or self.cmd_args or self.any_open_port) or (
            self.open_ports.is_set or self.target_pids.is_set
        )

    @property
    def about_container(self) -> bool:
        """Whether it has conditions on what a container runtime or Kubernetes tells."""
        return bool(self.metadata or self.pod_labels or self.pod_annotations)

    def __str__(self) -> str:
        return " and ".join(self._conditions()) or (
            "any open port" if self.any_open_port else "no condition"
        )

    def _conditions(self) -> Iterator[str]:
        if self.target_pids.is_set:
            yield f"pid {self.target_pids}"
        if self.open_ports.is_set:
            yield f"open_port {self.open_ports}"
        exe = self.exe_path or self.exe_path_regexp
        for label, pattern in (("exe", exe), ("args", self.cmd_args), ("language", self.languages)):
            if pattern:
                yield f"{label} {clean(pattern.text, limit=200)}"
        if self.containers_only:
            yield "in a container"
        for key, pattern in (*self.metadata, *self.pod_labels, *self.pod_annotations):
            yield f"{clean(key, limit=80)} {clean(pattern.text, limit=200)}"


def compile_pattern(dialect: Dialect, text: str, place: Place) -> Pattern:
    """Compile a glob or a regular expression.

    Raises:
        UsageError: if it is malformed; the message begins with the place.
    """
    try:
        return Glob.parse(text) if dialect == "glob" else Regexp.parse(text)
    except UsageError as error:
        raise place.error(error.message, error.fix) from error


def read_criteria(
    entry: Entry, section: str, dialect: Dialect, *, validated: bool = True
) -> tuple[Criterion, ...]:
    """Read one list of the `discovery:` section.

    Args:
        entry: The value of the key; null and [] are the empty list.
        section: Name of the key.
        dialect: Whether its patterns are globs or regular expressions.
        validated: Whether every entry must have a condition, and known keys only.

    Raises:
        UsageError: if something in it is wrong; the message names file, line and path.
    """
    found = []
    for index, item in enumerate(entry.items()):
        criterion = _read_criterion(item, section, index, dialect, validated)
        if validated and not criterion.has_condition:
            word = "entry" if dialect == "glob" else "index"
            raise item.place.error(
                f"error in {section} YAML property: {word} [{index}] should define at least one "
                "selection criteria",
                "give it open_ports, exe_path, languages, cmd_args or target_pids",
            )
        found.append(criterion)
    return tuple(found)


def _read_criterion(
    item: Entry, section: str, index: int, dialect: Dialect, validated: bool
) -> Criterion:
    members = item.members()
    where = f"discovery.{section}[{index}]"
    known = {*_KEYS, *(("exe_path_regexp",) if dialect == "regexp" else ())}
    known |= {"socket_apps"} if section == "survey" else set()
    for key in members.keys() - known if validated else ():
        raise _unknown(members[key], key, where if dialect == "glob" else f"index [{index}]", known)

    def pattern(key: str) -> Pattern | None:
        entry = members.get(key)
        text = entry.text() if entry else ""
        return compile_pattern(dialect, text, entry.place) if entry and text else None

    def patterns(key: str) -> NamedPatterns:
        entries = members[key].members() if key in members else {}
        return tuple(
            (name, compile_pattern(dialect, each.text(), each.place))
            for name, each in entries.items()
        )

    def text(key: str) -> str:
        return members[key].text() if key in members else ""

    return Criterion(
        where,
        dialect,
        open_ports=PortEnum.read(members["open_ports"]) if "open_ports" in members else UNSET,
        target_pids=read_pids(members.get("target_pids")),
        exe_path=pattern("exe_path"),
        exe_path_regexp=_as_regexp(pattern("exe_path_regexp")) if dialect == "regexp" else None,
        cmd_args=pattern("cmd_args"),
        languages=pattern("languages"),
        containers_only="containers_only" in members and members["containers_only"].boolean(),
        metadata=tuple(
            (key, compile_pattern(dialect, entry.text(), entry.place))
            for key, entry in members.items()
            if key in METADATA or key not in known
        ),
        pod_labels=patterns("k8s_pod_labels"),
        pod_annotations=patterns("k8s_pod_annotations"),
        name=text("name"),
        namespace=text("namespace"),
        exports=_read_exports(members.get("exports")),
        unused=tuple(key for key in UNUSED_OUTPUTS if key in members),
        survey=section == "survey",
    )


def read_pids(entry: Entry | None) -> PortEnum:
    """The numbers of a list; none of it is no condition.

    Raises:
        UsageError: if it is no list of whole numbers.
    """
    items = entry.items() if entry else []
    return PortEnum(tuple(PortRange(item.integer()) for item in items))


def _read_exports(entry: Entry | None) -> tuple[str, ...] | None:
    if entry is None or entry.is_null:
        return None
    exports = []
    for item in entry.items():
        if item.text() not in ("metrics", "traces", "logs"):
            raise item.place.error(
                f"{clean(item.text(), limit=40)!r} cannot be exported", "metrics, traces or logs"
            )
        exports.append(item.text())
    return tuple(exports)


def _as_regexp(pattern: Pattern | None) -> Regexp | None:
    return pattern if isinstance(pattern, Regexp) else None


def _unknown(entry: Entry, key: str, where: str, known: set[str]) -> UsageError:
    near = difflib.get_close_matches(key, known, n=1)
    fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return entry.place.error(f"unknown attribute in {where}: {clean(key, limit=80)}", fix)
