"""Everything about one process of this box and why it is selected or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.discovery.ancestry import Ancestor, ancestry
from engine.discovery.containers import container_facts
from engine.discovery.facts import ProcessFacts, read_facts
from engine.discovery.judge import Judge
from engine.discovery.language import Languages
from engine.discovery.policy import Policy
from engine.discovery.process_sockets import LocalPorts, local_ports
from engine.discovery.trace import Decision

_ARGUMENTS_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Explanation:
    """One process, its facts, and the decision about it."""

    facts: ProcessFacts
    ports: LocalPorts
    ancestors: tuple[Ancestor, ...]
    container_name: str
    decision: Decision

    def as_json(self) -> dict[str, JsonValue]:
        """As one JSON object of kind `decision`, the facts under `process`."""
        return {**self.decision.as_json(), "process": self._process()}

    def lines(self) -> Iterator[str]:
        """For people."""
        for name, value in self._process().items():
            if value not in (None, "", ()):
                yield f"{name:<16} {_shown(value)}"
        if self.ports.hidden:
            yield "its ports may not be read, so the decision can differ as root"
        yield ""
        yield from self.decision.lines()

    def _process(self) -> dict[str, JsonValue]:
        facts, language = self.facts, self.facts.language
        return {
            "pid": facts.identity.pid,
            "comm": clean(facts.comm),
            "exe": None if facts.exe is None else clean(facts.exe),
            "argv": tuple(clean(each, limit=400) for each in facts.argv[:_ARGUMENTS_SHOWN]),
            "user": None if facts.user is None else clean(facts.user),
            "start": facts.identity.start_ticks,
            "listens_on": self.ports.listening,
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
        ProcessGone: if it has ended, or /proc hides it altogether.
    """
    languages = Languages(faithful=policy.faithful)
    facts = read_facts(pid, languages)
    ports = local_ports(pid)
    judge = Judge(policy, languages, local_ports, naming=True)
    container = container_facts(facts.container).metadata if facts.container else {}
    return Explanation(
        facts,
        ports,
        ancestry(facts.ppid),
        container.get("container_name", ""),
        judge.decide(facts, ports),
    )


def _shown(value: JsonValue) -> str:
    if isinstance(value, (list, tuple)):
        return "  ".join(str(each) for each in value)
    return str(value)
