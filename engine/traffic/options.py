"""How traffic is read; `engine.core.settings` sets and checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

Order: TypeAlias = Literal["documented", "agent"]
"""documented: HTTP, then plugins, as DeepFlow's documentation has it; agent: plugins, then HTTP, as
its agent does since 2023. Then DNS, then what is only named."""


@dataclass(frozen=True, slots=True)
class TrafficOptions:
    """How traffic is read."""

    order: Order = "documented"
    cache: bool = False
    """Remember what a server speaks for its next connections, as an agent does."""
    reassemble: bool = False
    """Put TCP streams in order and join what belongs together; else segment by segment, as an
    agent does."""
    truncation: int = 1_024
    """How much of a payload a plugin is given, in bytes."""
    session_s: float = 60.0
    """How long a request waits for its response before it is shown without."""
    flow_capacity: int = 10_000
    """Most flows followed at once."""
