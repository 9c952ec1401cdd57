"""Beyla's configuration of discovery: built-in defaults, its YAML file, the environment.

A later source takes the place of an earlier one, except that Beyla itself, and `faithful` with
it, adds the entries of a port enumeration to those of the file. Of the two families of variables
`BEYLA_*` come first; `OTEL_EBPF_*`, which only the stand-alone OpenTelemetry instrumentation
reads, stand in for them unless `faithful`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from engine.core.errors import UsageError
from engine.discovery.criteria import Criterion, Dialect, compile_pattern, read_criteria
from engine.discovery.declarative import Capture, read_capture
from engine.discovery.default_exclusions import excluded_by_expressions, excluded_by_globs
from engine.discovery.document import Entry, Place, parse_duration, read_document
from engine.discovery.glob import Glob
from engine.discovery.ports import UNSET, PortEnum
from engine.discovery.regexp import Regexp
from engine.discovery.unused import UNUSED, unused_variables, why_unused

_SECTIONS: Mapping[str, tuple[Dialect, bool]] = {
    "instrument": ("glob", True),
    "exclude_instrument": ("glob", True),
    "default_exclude_instrument": ("glob", False),
    "services": ("regexp", True),
    "exclude_services": ("regexp", True),
    "default_exclude_services": ("regexp", False),
    "survey": ("glob", False),
}
"""Lists of criteria: how their patterns are read, and whether the entries are validated."""
_SELECTORS = (
    "open_port", "executable_path", "auto_target_exe", "auto_target_language", "target_pids",
)  # fmt: skip
_USED_KEYS = ("poll_interval", "min_process_age", "excluded_linux_system_paths")
"""The other keys of the section that have an effect here."""
_DEFAULT_POLL_INTERVAL_S = 5.0
_DEFAULT_SYSTEM_PATHS = (
    "/lib/systemd/", "/usr/lib/systemd/", "/usr/libexec/", "/sbin/", "/usr/sbin/",
)  # fmt: skip
_SHELL_VARIABLE = re.compile(r"\$(?:\{([^}]*)\}|([A-Za-z_][A-Za-z0-9_]*))")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where the value in force came from, and what it displaced or was added to."""

    name: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """What discovery is told, every source merged; see Beyla's `discovery:` section."""

    faithful: bool = False
    inherit: bool | None = None
    """Whether children of selected processes are selected; None = unless nothing selects."""
    source: str = ""
    """Name of the YAML file; empty if there is none."""
    open_port: PortEnum = UNSET
    executable_path: Regexp | None = None
    auto_target_exe: Glob | None = None
    auto_target_language: Glob | None = None
    target_pids: PortEnum = UNSET
    service_name: str = ""
    service_namespace: str = ""
    instrument: tuple[Criterion, ...] = ()
    exclude_instrument: tuple[Criterion, ...] = ()
    default_exclude_instrument: tuple[Criterion, ...] = ()
    services: tuple[Criterion, ...] = ()
    exclude_services: tuple[Criterion, ...] = ()
    default_exclude_services: tuple[Criterion, ...] = ()
    survey: tuple[Criterion, ...] = ()
    poll_interval_s: float = _DEFAULT_POLL_INTERVAL_S
    min_process_age_s: float = 5.0
    excluded_linux_system_paths: tuple[str, ...] = _DEFAULT_SYSTEM_PATHS
    origins: Mapping[str, Origin] = field(default_factory=lambda: MappingProxyType({}))
    """By field, where each value that is not a default came from."""

    @property
    def is_beyla(self) -> bool:
        """Whether a file of Beyla's or one of its selecting variables has a say."""
        return bool(self.source) or any(
            self.origins[name].name.startswith(("BEYLA_", "OTEL_"))
            for name in _SELECTORS
            if name in self.origins
        )

    def with_selectors(
        self, *, open_port: str | None = None, exe: str = "", origin: str = "--open-port"
    ) -> DiscoveryConfig:
        """This configuration with what was typed here, which takes the place of every source.

        Args:
            open_port: A port enumeration; None leaves the ports alone, blank text unsets them.
            exe: A glob over paths; empty leaves the executable alone.
            origin: What the ports are said to come from.

        Raises:
            UsageError: if one of them is malformed, or, unless faithful, names what is no port.
        """
        config = self
        if open_port is not None:
            ports = PortEnum.parse(open_port)
            if not self.faithful:
                ports.require_possible(origin)
            note = _displaced(config.open_port, config.origins.get("open_port"))
            config = config.set("open_port", Origin(origin, note), open_port=ports)
        if exe:
            config = config.set("auto_target_exe", Origin("--exe"), auto_target_exe=Glob.parse(exe))
        return config

    def set(self, name: str, origin: Origin, **values: object) -> DiscoveryConfig:
        """A copy with other values, whose origin is noted under a name."""
        origins = MappingProxyType({**self.origins, name: origin})
        return replace(self, origins=origins, **values)  # type: ignore[arg-type]


def load_config(
    path: Path | None = None,
    environ: Mapping[str, str] = os.environ,
    *,
    faithful: bool = False,
) -> DiscoveryConfig:
    """Read Beyla's file, if there is one, and the environment.

    Args:
        path: The YAML file.
        environ: The environment, also for the `${NAME}` in the file.
        faithful: Merge as Beyla does, and read no variable it does not read.

    Raises:
        UsageError: if something is wrong; the message says in which file, at which path or in
            which variable, and what to do.
    """
    config = DiscoveryConfig(faithful=faithful, source=str(path) if path else "")
    document = read_document(path, environ) if path else None
    config = _from_document(config, document, str(path))
    config = _Environment(environ, faithful).merged_into(config)
    return _with_default_exclusions(config)


def _from_document(config: DiscoveryConfig, document: Entry | None, source: str) -> DiscoveryConfig:
    members = document.members() if document else {}
    found = {key: entry for key, entry in members.items() if not entry.is_null}
    if capture := read_capture(found):
        return _from_capture(config, capture)
    config = _wrapped(config, found)
    if "open_port" in found:
        ports = PortEnum.read(found["open_port"])
        config = config.set("open_port", _at(found["open_port"]), open_port=ports)
    for key in ("executable_path", "executable_name"):  # the latter is Beyla's
        if key in found and found[key].text():
            pattern = compile_pattern("regexp", found[key].text(), found[key].place)
            config = config.set("executable_path", _at(found[key]), executable_path=pattern)
    if "target_pids" in found:
        pids = PortEnum.read(found["target_pids"])
        config = config.set("target_pids", _at(found["target_pids"]), target_pids=pids)
    for key in ("service_name", "service_namespace"):
        if key in found:
            config = config.set(key, _at(found[key]), **{key: found[key].text()})
    section = found["discovery"].members() if "discovery" in found else {}
    return _from_section(config, section)


def _from_section(config: DiscoveryConfig, section: Mapping[str, Entry]) -> DiscoveryConfig:
    for key, (dialect, validated) in _SECTIONS.items():
        if key in section:
            criteria = read_criteria(section[key], key, dialect, validated=validated)
            config = config.set(key, _at(section[key]), **{key: criteria})
    for key in ("poll_interval", "min_process_age"):
        if key in section and not section[key].is_null:
            config = _with_duration(config, f"{key}_s", section[key].seconds(), _at(section[key]))
    if "excluded_linux_system_paths" in section:
        entry = section["excluded_linux_system_paths"]
        paths = tuple(item.text() for item in entry.items())
        config = config.set(
            "excluded_linux_system_paths", _at(entry), excluded_linux_system_paths=paths
        )
    for key, entry in section.items():
        if key not in _SECTIONS and key not in _USED_KEYS:
            note = why_unused(key) if key in UNUSED else "is no key of discovery; ignored"
            config = config.set(key, Origin(str(entry.place), note))
    return config


def _from_capture(config: DiscoveryConfig, capture: Capture) -> DiscoveryConfig:
    for key, criteria in capture.lists.items():
        config = config.set(key, Origin(capture.place), **{key: criteria})
    for key, entry in capture.durations.items():
        if not entry.is_null:
            config = _with_duration(config, f"{key}_s", entry.seconds(), _at(entry))
    if capture.excludes_exporters:
        note = why_unused("exclude_otel_instrumented_services")
        config = config.set("exports_otlp", Origin(capture.place, note))
    return config


def _wrapped(config: DiscoveryConfig, found: Mapping[str, Entry]) -> DiscoveryConfig:
    """Note a file in which the configuration is not where Beyla looks for it."""
    if "discovery" in found:
        return config
    for key, holder in (("kind", "data of the ConfigMap"), ("config", "config.data")):
        entry = found.get(key)
        if entry is None or entry.is_sequence or entry.is_mapping != (key == "config"):
            continue
        if entry.is_mapping or entry.text() == "ConfigMap":
            note = f"belongs to Kubernetes: what stands below {holder} is Beyla's file"
            return config.set(key, Origin(str(entry.place), note))
    return config


def _with_duration(
    config: DiscoveryConfig, name: str, seconds: float, origin: Origin
) -> DiscoveryConfig:
    if name == "poll_interval_s" and not seconds:
        seconds = _DEFAULT_POLL_INTERVAL_S  # so Beyla reads 0
    return config.set(name, origin, **{name: seconds})


def _at(entry: Entry) -> Origin:
    return Origin(str(entry.place))


class _Environment:
    """The variables, with what stands in for what."""

    def __init__(self, environ: Mapping[str, str], faithful: bool) -> None:
        self._environ = environ
        self._faithful = faithful

    def _first(self, *names: str) -> tuple[str, str] | None:
        """The first variable that is set and not empty, and its value."""
        for name in names:
            if self._environ.get(name) and not (self._faithful and name.startswith("OTEL_EBPF_")):
                return name, self._environ[name]
        return None

    def merged_into(self, config: DiscoveryConfig) -> DiscoveryConfig:
        """The configuration with what the environment says."""
        config = self._enumerations(config)
        config = self._patterns(config)
        config = self._texts(config)
        return self._unread(config)

    def _enumerations(self, config: DiscoveryConfig) -> DiscoveryConfig:
        for name, variables in (
            ("open_port", ("BEYLA_OPEN_PORT", "OTEL_EBPF_OPEN_PORT")),
            ("target_pids", ("BEYLA_TARGET_PID", "OTEL_EBPF_TARGET_PID")),
        ):
            found = self._first(*variables)
            if not found:
                continue
            before: PortEnum = config.open_port if name == "open_port" else config.target_pids
            value, origin = self._merge(before, config.origins.get(name), *found)
            config = config.set(name, origin, **{name: value})
        return config

    def _merge(
        self, before: PortEnum, earlier: Origin | None, variable: str, text: str
    ) -> tuple[PortEnum, Origin]:
        try:
            alone, union = PortEnum.parse(text), before.extended(text)
        except UsageError as error:
            raise Place(variable).error(error.message, f"mend or unset {variable}") from error
        if not before.is_set or not earlier or not alone.is_set:
            return alone, Origin(variable)
        if self._faithful:
            return union, Origin(
                f"{earlier.name} and {variable}", "added together, as Beyla does (faithful)"
            )
        return alone, Origin(
            variable,
            f"takes the place of {before} from {earlier.name}; Beyla itself adds them together: "
            f"{union} (--faithful does)",
        )

    def _patterns(self, config: DiscoveryConfig) -> DiscoveryConfig:
        sources: tuple[tuple[str, Dialect, tuple[str, ...]], ...] = (
            ("executable_path", "regexp", ("BEYLA_EXECUTABLE_NAME", "OTEL_EBPF_EXECUTABLE_PATH")),
            ("auto_target_exe", "glob", ("BEYLA_AUTO_TARGET_EXE", "OTEL_EBPF_AUTO_TARGET_EXE",
                                         "OTEL_GO_AUTO_TARGET_EXE")),
            ("auto_target_language", "glob", ("BEYLA_AUTO_TARGET_LANGUAGE",
                                              "OTEL_EBPF_AUTO_TARGET_LANGUAGE")),
        )  # fmt: skip
        for name, dialect, variables in sources:
            if found := self._first(*variables):
                variable, text = found
                if name == "auto_target_exe":
                    text = self._expanded(text)
                pattern = compile_pattern(dialect, text, Place(variable))
                config = config.set(name, Origin(variable), **{name: pattern})
        return config

    def _expanded(self, text: str) -> str:
        """With the values of `$NAME` and `${NAME}` put in; unset ones are empty."""
        return _SHELL_VARIABLE.sub(lambda found: self._environ.get(found[1] or found[2], ""), text)

    def _texts(self, config: DiscoveryConfig) -> DiscoveryConfig:
        for name, variables in (
            ("service_name", ("OTEL_SERVICE_NAME", "BEYLA_SERVICE_NAME", "OTEL_EBPF_SERVICE_NAME")),
            ("service_namespace", ("BEYLA_SERVICE_NAMESPACE", "OTEL_EBPF_SERVICE_NAMESPACE")),
        ):
            if found := self._first(*variables):
                config = config.set(name, Origin(found[0]), **{name: found[1]})
        for name, suffix in (
            ("poll_interval_s", "DISCOVERY_POLL_INTERVAL"), ("min_process_age_s", "MIN_PROCESS_AGE")
        ):  # fmt: skip
            if found := self._first(f"BEYLA_{suffix}", f"OTEL_EBPF_{suffix}"):
                seconds = parse_duration(found[1], Place(found[0]))
                config = _with_duration(config, name, seconds, Origin(found[0]))
        return config

    def _unread(self, config: DiscoveryConfig) -> DiscoveryConfig:
        """Note the variables that look as if they counted, and do not."""
        for name in ("OPEN_PORT", "AUTO_TARGET_EXE", "AUTO_TARGET_LANGUAGE", "TARGET_PID",
                     "EXECUTABLE_PATH"):  # fmt: skip
            variable = f"OTEL_EBPF_{name}"
            if self._faithful and self._environ.get(variable):
                note = "is set and ignored: Beyla reads BEYLA_* only (faithful)"
                config = config.set(variable, Origin("environment", note))
        for variable, note in unused_variables(self._environ).items():
            config = config.set(variable, Origin("environment", note))
        return config


def _with_default_exclusions(config: DiscoveryConfig) -> DiscoveryConfig:
    """The built-in exclusions where no others are written."""
    surveyed = bool(config.survey)
    if "default_exclude_instrument" not in config.origins:
        config = replace(config, default_exclude_instrument=excluded_by_globs(surveyed))
    if "default_exclude_services" not in config.origins:
        config = replace(config, default_exclude_services=excluded_by_expressions(surveyed))
    return config


def _displaced(before: PortEnum, earlier: Origin | None) -> str:
    return f"takes the place of {before} from {earlier.name}" if earlier and before.is_set else ""
