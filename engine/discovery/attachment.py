"""What the attacher tells: which listed processes are attached, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.core.identity import ProcessId
from engine.discovery.capture import NO_COST, CaptureCost
from engine.discovery.facts import ProcessFacts
from engine.discovery.matching import Match, Matched
from engine.discovery.namespaces import read_netns
from engine.discovery.observed import Identity, observed

AttachmentState = Literal["waiting", "attached", "awaited", "ended", "detached"]


@dataclass(frozen=True, slots=True)
class Listed:
    """A process that is listed, with what became of its traffic."""

    matched: Matched
    attached: bool = False
    refusal: str = ""
    """Why it is not attached, where that was asked for."""

    @property
    def key(self) -> int:
        """That of the process."""
        return self.matched.key

    @property
    def identity(self) -> Identity:
        """That of the process."""
        return self.matched.identity


@dataclass(frozen=True, slots=True)
class Attachment:
    """A process whose traffic is captured, or was."""

    facts: ProcessFacts
    cause: str
    """What asked for it."""
    state: AttachmentState = "attached"
    """`waiting`: chosen, and nothing is captured yet; `awaited`: it ended, and what takes its
    place will be attached."""
    cost: CaptureCost = NO_COST

    @property
    def process(self) -> ProcessId:
        """Which process."""
        return self.facts.identity


def unlisted(facts: ProcessFacts, *, attached: bool) -> Listed:
    """A process whose traffic is captured, or will be, as if it were listed."""
    process = observed(facts, read_netns(facts.identity.pid) or 0, ())
    return Listed(Matched(process, Match("", (), "not selected")), attached)
