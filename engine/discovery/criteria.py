"""Criteria: the entries of Beyla's discovery lists, each a set of conditions that must all hold.

Format: `discovery.instrument`, `exclude_instrument` and `survey` (globs), `services` and
`exclude_services` (regular expressions) of Beyla 3.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Set
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
    values = _Values(item.members(), dialect)
    where = f"discovery.{section}[{index}]"
    known = {*_KEYS, *(("exe_path_regexp",) if dialect == "regexp" else ())}
    known |= {"socket_apps"} if section == "survey" else set()
    for key in values.members.keys() - known if validated else ():
        shown = where if dialect == "glob" else f"index [{index}]"
        raise _unknown(values.members[key], key, shown, known)
    return Criterion(
        where,
        dialect,
        open_ports=values.ports("open_ports"),
        target_pids=read_pids(values.members.get("target_pids")),
        exe_path=values.pattern("exe_path"),
        exe_path_regexp=values.regexp("exe_path_regexp") if dialect == "regexp" else None,
        cmd_args=values.pattern("cmd_args"),
        languages=values.pattern("languages"),
        containers_only=values.switch("containers_only"),
        metadata=values.metadata(known),
        pod_labels=values.patterns("k8s_pod_labels"),
        pod_annotations=values.patterns("k8s_pod_annotations"),
        name=values.text("name"),
        namespace=values.text("namespace"),
        exports=_read_exports(values.members.get("exports")),
        unused=tuple(key for key in UNUSED_OUTPUTS if key in values.members),
        survey=section == "survey",
    )


@dataclass(frozen=True, slots=True)
class _Values:
    """What an entry of a list says, by key; what it leaves out is empty."""

    members: Mapping[str, Entry]
    dialect: Dialect

    def text(self, key: str) -> str:
        return self.members[key].text() if key in self.members else ""

    def switch(self, key: str) -> bool:
        return key in self.members and self.members[key].boolean()

    def ports(self, key: str) -> PortEnum:
        return PortEnum.read(self.members[key]) if key in self.members else UNSET

    def pattern(self, key: str) -> Pattern | None:
        return self._compiled(self.members[key]) if self.text(key) else None

    def regexp(self, key: str) -> Regexp | None:
        pattern = self.pattern(key)
        return pattern if isinstance(pattern, Regexp) else None

    def patterns(self, key: str) -> NamedPatterns:
        entries = self.members[key].members() if key in self.members else {}
        return tuple((name, self._compiled(each)) for name, each in entries.items())

    def metadata(self, known: Set[str]) -> NamedPatterns:
        """What is asked of a container's metadata, keys nobody knows included."""
        return tuple(
            (key, self._compiled(entry))
            for key, entry in self.members.items()
            if key in METADATA or key not in known
        )

    def _compiled(self, entry: Entry) -> Pattern:
        return compile_pattern(self.dialect, entry.text(), entry.place)


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


def _unknown(entry: Entry, key: str, where: str, known: set[str]) -> UsageError:
    near = difflib.get_close_matches(key, known, n=1)
    fix = f"did you mean {near[0]}?" if near else f"known are {', '.join(sorted(known))}"
    return entry.place.error(f"unknown attribute in {where}: {clean(key, limit=80)}", fix)
