"""What servers speak, remembered for their next connections as the DeepFlow agent does.

Source: DeepFlow agent, protocol inference. A server is an address and a port. What was found of one
of its connections holds for all that follow, for 60 seconds; a wrong guess therefore spoils them
all. After 128 failures the server is left alone until that time has passed.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from engine.traffic.flows import Endpoint, Flow

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.outcome import Claim

KEPT_NS = 60_000_000_000
MAX_FAILURES = 128

_MAX_SERVERS = 10_000
_Key: TypeAlias = tuple[int, Endpoint]


@dataclass(slots=True)
class Remembered:
    """What is known of a server."""

    since_ns: int
    step: str = ""
    """What recognised it; empty where nothing has yet."""
    claim: Claim | None = None
    """Whose protocol it is, where a plugin did."""
    failures: int = 0

    @property
    def left_alone(self) -> bool:
        """Whether it has failed too often."""
        return self.failures >= MAX_FAILURES


class Endpoints:
    """The servers of the last minute, the least recently used first to go."""

    def __init__(self) -> None:
        self._servers: OrderedDict[_Key, Remembered] = OrderedDict()
        self._generation = 0

    def known(self, flow: Flow, now_ns: int, generation: int) -> Remembered | None:
        """What is remembered of the server of a flow.

        Args:
            flow: The flow.
            now_ns: The time of the traffic.
            generation: Of the plugin chain; when it has changed, everything is forgotten.
        """
        if generation != self._generation:
            self._generation = generation
            self._servers.clear()
        key = (flow.l4, flow.server)
        found = self._servers.get(key)
        if found is None:
            return None
        if not 0 <= now_ns - found.since_ns < KEPT_NS:
            del self._servers[key]
            return None
        self._servers.move_to_end(key)
        return found

    def found(self, flow: Flow, now_ns: int, step: str, claim: Claim | None) -> None:
        """Remember what the server of a flow speaks."""
        entry = self._entry(flow, now_ns)
        entry.step, entry.claim = step, claim

    def failed(self, flow: Flow, now_ns: int) -> None:
        """Count a payload of a server that could not be read."""
        self._entry(flow, now_ns).failures += 1

    def _entry(self, flow: Flow, now_ns: int) -> Remembered:
        key = (flow.l4, flow.server)
        if key not in self._servers:
            self._servers[key] = Remembered(now_ns)
            if len(self._servers) > _MAX_SERVERS:
                self._servers.popitem(last=False)
        return self._servers[key]
