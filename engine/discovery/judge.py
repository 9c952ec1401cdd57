"""Decisions about the processes of this box: what criteria ask for is read from /proc."""

from __future__ import annotations

import os
from collections.abc import Callable

from engine.core.errors import ProcessGone
from engine.discovery.candidate import Candidate, Netns
from engine.discovery.containers import ContainerFacts, container_facts
from engine.discovery.criteria import UNKNOWN
from engine.discovery.evaluate import decide
from engine.discovery.facts import ProcessFacts, read_facts
from engine.discovery.language import Languages
from engine.discovery.policy import Policy
from engine.discovery.process_sockets import LocalPorts
from engine.discovery.trace import Decision

_NAMING = ("OTEL_SERVICE_NAME", "OTEL_RESOURCE_ATTRIBUTES")
_ENVIRON_BYTES = 1 << 17
_MOST_ANCESTORS = 64


class Judge:
    """Decides by one policy; made anew for each look, for it remembers the ancestors it read."""

    def __init__(
        self,
        policy: Policy,
        languages: Languages,
        ports_of: Callable[[int], LocalPorts],
        *,
        naming: bool = False,
    ) -> None:
        """Make a judge.

        Args:
            policy: The lists in force.
            languages: Who tells languages.
            ports_of: Who tells the ports of a process, those of ancestors too.
            naming: Whether to look into the environment of a process for its service's name.
        """
        self.policy = policy
        self._languages = languages
        self._ports_of = ports_of
        self._naming = naming
        self._own_netns = _netns(os.getpid())
        self._ancestors: dict[int, Decision | None] = {}

    def decide(self, facts: ProcessFacts, ports: LocalPorts) -> Decision:
        """What becomes of a process."""
        return decide(self.policy, self.candidate(facts, ports), self._parent_of(facts, 0))

    def candidate(self, facts: ProcessFacts, ports: LocalPorts) -> Candidate:
        """The process as criteria see it."""
        pid = facts.identity.pid
        container = container_facts(facts.container) if facts.container else ContainerFacts()
        return Candidate(
            pid,
            facts.ppid,
            facts.exe or UNKNOWN,
            facts.argv,
            ports.listening,
            ports.connections,
            facts.language.name if facts.language else UNKNOWN,
            self._netns_of(pid) if self.policy.wants_netns else "own",
            container.metadata,
            container.pod_labels,
            container.pod_annotations,
            hidden_of(facts, ports),
            read_naming(pid) if self._naming else {},
        )

    def _parent_of(self, facts: ProcessFacts, depth: int) -> Decision | None:
        """What became of the parent, and so on upwards, as far as it can matter."""
        ppid = facts.ppid
        if not self.policy.inherit or ppid <= 0 or depth > _MOST_ANCESTORS:
            return None
        if ppid not in self._ancestors:
            self._ancestors[ppid] = None
            try:
                parent = read_facts(ppid, self._languages)
            except ProcessGone:
                return None
            self._ancestors[ppid] = decide(
                self.policy,
                self.candidate(parent, self._ports_of(ppid)),
                self._parent_of(parent, depth + 1),
            )
        return self._ancestors[ppid]

    def _netns_of(self, pid: int) -> Netns:
        """As Beyla tells it: from within a container every process counts as elsewhere."""
        if os.getpid() == 1 or os.getppid() == 0:
            return "other"
        found = _netns(pid)
        if not found:
            return "unreadable"
        return "own" if found == self._own_netns else "other"


def read_naming(pid: int) -> dict[str, str]:
    """The variables of a process that name its service; none if they may not be read."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            pairs = os.fsdecode(file.read(_ENVIRON_BYTES)).split("\0")
    except OSError:
        return {}
    found = (pair.partition("=") for pair in pairs)
    return {name: value for name, _, value in found if name in _NAMING}


def hidden_of(facts: ProcessFacts, ports: LocalPorts) -> frozenset[str]:
    """What may not be read of a process: `exe`, `ports`."""
    found = {"ports"} if ports.hidden else set()
    if facts.exe is None:
        try:
            os.readlink(f"/proc/{facts.identity.pid}/exe")
        except PermissionError:
            found.add("exe")
        except OSError:
            pass
    return frozenset(found)


def _netns(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return ""
