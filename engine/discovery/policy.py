"""Which lists are in force: the criteria that select, those that exclude, and what is ignored.

Of all its selectors Beyla uses one set, chosen by five rules; what the rest says counts for
nothing. Here the choice is literal, and everything left aside is named.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.discovery.config import DiscoveryConfig
from engine.discovery.criteria import Criterion
from engine.discovery.futile import futilities
from engine.discovery.glob import Glob
from engine.discovery.regexp import Regexp
from engine.discovery.trace import BUILT_IN
from engine.discovery.unused import why_unused

_RULES = {
    0: "nothing is configured: every process that has a port",
    1: "target_pids alone: every other selector is ignored, exclusions still apply",
    2: "the list discovery.services (regular expressions)",
    3: "the list discovery.instrument (globs)",
    4: "the globs BEYLA_AUTO_TARGET_EXE and BEYLA_AUTO_TARGET_LANGUAGE, and open_port",
    5: "the top-level selectors executable_path and open_port",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What decides about processes."""

    rule: int
    """Which of Beyla's five rules chose the criteria; 0 where nothing is configured at all."""
    finding: tuple[Criterion, ...]
    excluding: tuple[Criterion, ...] = ()
    survey: tuple[Criterion, ...] = ()
    notes: tuple[str, ...] = ()
    """What is ignored or overridden, and the criteria that can never match."""
    faithful: bool = False
    """Decide as Beyla does, also where that is questionable."""
    ports_from: str = ""
    """Where the port enumeration in force came from; empty if there is none."""
    system_paths: tuple[str, ...] = ()
    """Executables below these have no language in a condition."""
    inherit: bool = False
    """A process whose parent is selected is selected too, as it is by Beyla."""
    min_process_age_s: float = 0.0
    """How old a process without ports must be to be told of."""

    @property
    def in_force(self) -> str:
        """One line about the lists in force."""
        return f"rule {self.rule}: {_RULES[self.rule]}" if self.rule else _RULES[0]

    @property
    def wants_portless(self) -> bool:
        """Whether a process without any port can be selected."""
        return any(
            not (criterion.open_ports.is_set or criterion.any_open_port)
            for criterion in (*self.finding, *self.survey)
        )

    @property
    def wants_netns(self) -> bool:
        """Whether some criterion asks for the network namespace."""
        return any(each.containers_only for each in (*self.finding, *self.excluding, *self.survey))

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object of kind `policy`."""
        return {
            "kind": "policy",
            "rule": self.rule,
            "in_force": self.in_force,
            "faithful": self.faithful,
            "inherit": self.inherit,
            "min_process_age_s": self.min_process_age_s,
            "open_port_from": self.ports_from or None,
            **{
                name: tuple({"criterion": each.where, "text": str(each)} for each in criteria)
                for name, criteria in self._lists()
            },
            "notes": self.notes,
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        yield f"in force: {self.in_force}"
        if self.ports_from:
            yield f"open_port from: {self.ports_from}"
        for name, criteria in self._lists():
            if criteria:
                yield f"{name}:"
            yield from (f"  {clean(each.where)}: {each}" for each in criteria)
        yield "a child of a selected process is " + (
            "selected too" if self.inherit else "by itself"
        )
        if self.min_process_age_s:
            yield f"a process without ports is told of when it is {self.min_process_age_s:g} s old"
        if self.faithful:
            yield "faithful: everything is decided as Beyla decides it"
        for note in self.notes:
            yield f"note: {note}"

    def _lists(self) -> Iterator[tuple[str, tuple[Criterion, ...]]]:
        yield "criteria", self.finding
        yield "survey", self.survey
        yield "exclusions", self.excluding

    def __str__(self) -> str:
        return " or ".join(map(str, self.finding)) or "nothing"


def policy_of(config: DiscoveryConfig) -> Policy:
    """Choose the lists in force."""
    deprecated = bool(config.services or config.exclude_services) and not (
        config.instrument or config.exclude_instrument
    )
    rule, finding = _finding(config, deprecated)
    excluding: tuple[Criterion, ...] = ()
    if config.is_beyla or config.faithful:
        excluding = (
            config.exclude_services + config.default_exclude_services
            if deprecated
            else config.exclude_instrument + config.default_exclude_instrument
        )
    finding = tuple(map(_normalised, finding))
    survey = tuple(map(_normalised, config.survey))
    notes = (
        *_merging(config),
        *_ignored(config, rule, deprecated),
        *_surprises(config, rule, finding),
        *_unused((*finding, *survey, *excluding)),
        *_futile((*finding, *survey, *excluding)),
    )
    ports = config.origins.get("open_port")
    return Policy(
        rule,
        finding,
        excluding,
        survey,
        notes,
        config.faithful,
        ports.name if ports and config.open_port.is_set else "",
        config.excluded_linux_system_paths,
        rule != 0 if config.inherit is None else config.inherit,
        config.min_process_age_s if config.is_beyla or config.faithful else 0.0,
    )


def _finding(config: DiscoveryConfig, deprecated: bool) -> tuple[int, tuple[Criterion, ...]]:
    """The number of the first rule that applies, and its criteria."""
    globs, regexps = _top_level_globs(config), _top_level_regexps(config)
    if config.target_pids.is_set:
        only = replace(_named(config, "target_pids"), target_pids=config.target_pids)
        return 1, (only,)
    if deprecated:
        extra = (regexps,) if config.executable_path or config.open_port.is_set else ()
        return 2, config.services + extra
    chosen = config.auto_target_exe or config.auto_target_language
    if config.instrument:
        extra = (globs,) if chosen or config.open_port.is_set else ()
        return 3, config.instrument + extra
    if chosen:
        return 4, (globs,)
    if not (regexps.has_condition or config.is_beyla or config.faithful):
        return 0, (Criterion("default", any_open_port=True),)
    return 5, (regexps,)


def _top_level_globs(config: DiscoveryConfig) -> Criterion:
    return replace(
        _named(config, "auto_target_exe", "open_port", "auto_target_language"),
        exe_path=config.auto_target_exe,
        open_ports=config.open_port,
        languages=config.auto_target_language,
    )


def _top_level_regexps(config: DiscoveryConfig) -> Criterion:
    return replace(
        _named(config, "executable_path", "open_port"),
        dialect="regexp",
        exe_path=config.executable_path,
        open_ports=config.open_port,
    )


def _named(config: DiscoveryConfig, *fields: str) -> Criterion:
    """A criterion without conditions yet, called after where its parts come from."""
    origins = (config.origins[name].name for name in fields if name in config.origins)
    return Criterion(
        " and ".join(origins) or "top level",
        name=config.service_name,
        namespace=config.service_namespace,
    )


def _normalised(criterion: Criterion) -> Criterion:
    """Conditions on the container alone are conditions on any executable in it."""
    if not criterion.about_container or criterion.exe_path or criterion.open_ports.is_set:
        return criterion
    anything = Glob.parse("*") if criterion.dialect == "glob" else Regexp.parse(".")
    return replace(criterion, exe_path=anything)


def _merging(config: DiscoveryConfig) -> Iterator[str]:
    for name, origin in config.origins.items():
        if origin.note:
            yield f"{name}: {origin.name} {origin.note}"


def _ignored(config: DiscoveryConfig, rule: int, deprecated: bool) -> Iterator[str]:
    """What is written and counts for nothing."""
    counts = {
        1: {"target_pids"},
        2: {"services", "executable_path", "open_port"},
        3: {"instrument", "auto_target_exe", "open_port", "auto_target_language"},
        4: {"auto_target_exe", "open_port", "auto_target_language"},
        5: {"executable_path", "open_port"},
        0: set[str](),
    }[rule]
    counts |= (
        {"exclude_services", "default_exclude_services"}
        if deprecated
        else {"exclude_instrument", "default_exclude_instrument"}
    )
    for name in (
        "target_pids", "services", "instrument", "executable_path", "auto_target_exe",
        "auto_target_language", "open_port", "exclude_services", "exclude_instrument",
        "default_exclude_services", "default_exclude_instrument",
    ):  # fmt: skip
        if name in config.origins and getattr(config, name) and name not in counts:
            yield f"{name} ({config.origins[name].name}) is ignored: {_why(config, rule, name)}"


def _why(config: DiscoveryConfig, rule: int, name: str) -> str:
    if name.startswith(("exclude_", "default_")):
        other = "services" if name.endswith("instrument") else "instrument"
        return f"the lists of {other} are in force"
    if rule == 5 and name == "services" and config.exclude_instrument:
        return "exclude_instrument takes services out of force, and there is no instrument"
    return f"in force is {_RULES[rule]}"


def _surprises(config: DiscoveryConfig, rule: int, finding: tuple[Criterion, ...]) -> Iterator[str]:
    if not finding:
        yield "nothing can be selected: the list in force is empty; put something into services"
    if rule == 1 and not (
        config.instrument or config.services or config.open_port.is_set or config.executable_path
    ):
        yield "Beyla refuses to start with target_pids alone; it wants another selector beside it"
    if rule == 5 and not finding[0].has_condition:
        yield (
            "there is no selector at all: Beyla selects nothing on a plain host, and everything "
            "that has container metadata; set open_port or discovery.instrument"
        )
    if rule in (2, 3) and len(finding) > len(config.services if rule == 2 else config.instrument):
        yield f"the entry made of {finding[-1].where} comes last, so its name and namespace win"


def _unused(criteria: tuple[Criterion, ...]) -> Iterator[str]:
    for criterion in criteria:
        for key in criterion.unused:
            yield f"{clean(criterion.where)}: {key} {why_unused(key)}"


def _futile(criteria: tuple[Criterion, ...]) -> Iterator[str]:
    for criterion in criteria:
        if criterion.where.startswith(BUILT_IN):
            continue
        for found in futilities(criterion):
            what = "never matches" if found.never else "matches in part"
            yield f"{clean(criterion.where)} {what}: {found.why}"
