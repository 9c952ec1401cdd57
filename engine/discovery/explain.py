"""Everything about one process of this box and why it is selected or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.errors import ProcessGone
from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.discovery.ancestry import Ancestor, ancestry
from engine.discovery.containers import container_facts
from engine.discovery.facts import ProcessFacts, age_s, read_facts, thread_group
from engine.discovery.judge import Judge, hidden_of
from engine.discovery.language import Languages
from engine.discovery.namespaces import read_netns
from engine.discovery.policy import Policy
from engine.discovery.process_sockets import LocalPorts, local_ports
from engine.discovery.trace import Decision

_ARGUMENTS_SHOWN = 40
_IN_WORDS = ("exe_hidden", "ports_hidden")


@dataclass(frozen=True, slots=True)
class Explanation:
    """One process, its facts, and the decision about it."""

    facts: ProcessFacts
    ports: LocalPorts
    ancestors: tuple[Ancestor, ...]
    container_name: str
    decision: Decision
    netns: int | None
    """Inode number of its network namespace; None if it may not be read."""
    age_s: float
    min_age_s: float = 0.0
    """How old it must be if it has no ports; else it is not told of yet."""
    exe_hidden: bool = False
    """Whether its executable may not be read."""

    @property
    def to_wait_s(self) -> float:
        """How long it is not told of yet for its age; only without ports it matters."""
        if self.ports.listening or self.ports.hidden:
            return 0.0
        return max(self.min_age_s - self.age_s, 0.0)

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object of kind `decision`, the facts under `process`."""
        return {
            **self.decision.as_json(),
            "process": self._process(),
            "age_gate": {
                "age_s": round(self.age_s, 2),
                "min_process_age_s": self.min_age_s,
                "to_wait_s": round(self.to_wait_s, 2),
            },
        }

    def lines(self) -> Iterator[str]:
        """For people."""
        for name, value in self._process().items():
            if value not in (None, "", ()) and name not in _IN_WORDS:
                yield f"{name:<16} {_shown(value)}"
        if self.exe_hidden:
            yield f"{'exe':<16} hidden; what decides by it can differ with more rights"
        if self.ports.hidden:
            yield f"{'ports':<16} hidden; what decides by them can differ with more rights"
        if self.to_wait_s:
            yield (
                f"{'age':<16} {self.age_s:.1f} s: a process without ports is told of from "
                f"{self.min_age_s:g} s on, so in {self.to_wait_s:.1f} s"
            )
        yield ""
        yield from self.decision.lines()

    def _process(self) -> dict[str, JsonValue]:
        facts, language = self.facts, self.facts.language
        return {
            "pid": facts.identity.pid,
            "comm": clean(facts.comm),
            "exe": None if facts.exe is None else clean(facts.exe),
            "exe_hidden": self.exe_hidden or None,
            "argv": tuple(clean(each, limit=400) for each in facts.argv[:_ARGUMENTS_SHOWN]),
            "user": None if facts.user is None else clean(facts.user),
            "start": facts.identity.start_ticks,
            "netns": self.netns,
            "listens_on": self.ports.listening,
            "of_these_udp": self.ports.udp,
            "connections_on": self.ports.connections,
            "ports_hidden": self.ports.hidden or None,
            "language": language and language.name,
            "language_rule": language and clean(language.rule),
            "go_version": language and language.version,
            "cgroup": None if facts.cgroup is None else clean(facts.cgroup),
            "container_id": facts.container_id,
            "container_name": clean(self.container_name),
            "ancestry": tuple(f"{each.pid} {clean(each.comm)}" for each in self.ancestors),
        }


def explain(pid: int, policy: Policy) -> Explanation:
    """Look at a process, and at its ancestors as far as they matter, and decide about it.

    Raises:
        ProcessGone: if there is none with that pid, or /proc hides it altogether.
    """
    languages = Languages(faithful=policy.faithful)
    facts = _facts(pid, languages)
    ports = local_ports(pid)
    judge = Judge(policy, languages, local_ports, naming=True)
    container = container_facts(facts.container).metadata if facts.container else {}
    return Explanation(
        facts,
        ports,
        ancestry(facts.ppid),
        container.get("container_name", ""),
        judge.decide(facts, ports),
        read_netns(pid),
        age_s(facts.identity),
        policy.min_process_age_s,
        "exe" in hidden_of(facts, ports),
    )


def _facts(pid: int, languages: Languages) -> ProcessFacts:
    try:
        facts = read_facts(pid, languages)
        process = thread_group(pid)
    except ProcessGone as gone:
        if isinstance(gone.__cause__, PermissionError):
            raise
        raise ProcessGone(
            f"there is no process {pid}", fix="boxscope discover --all lists those there are"
        ) from gone
    if process not in (None, pid):
        raise ProcessGone(
            f"{pid} is a thread of process {process}", fix=f"explain {process} instead"
        )
    return facts


def _shown(value: JsonValue) -> str:
    if isinstance(value, (list, tuple)):
        return "  ".join(str(each) for each in value)
    return str(value)
