"""What a console says first: which protocol it speaks, and what it wants to be told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from engine import __version__
from engine.core.errors import AttachError
from engine.remote.frames import PROTOCOL, Message
from engine.remote.wire import from_plain

BACKLOG = 5_000
"""Records of each kind that a console is told of from before it came."""
_MOST_BACKLOG = 100_000


@dataclass(frozen=True)
class Hello:
    """What a console wants."""

    read_only: bool = False
    """Whether it wants to be refused whatever would change something."""
    every: bool = False
    """Whether it wants every record, not only as many as one can look at."""
    kinds: tuple[str, ...] | None = None
    """Kinds of records; None for all."""
    backlog: int = BACKLOG
    """Records of each kind from before it came."""
    instance: str = ""
    """The run of the engine it has been attached to before."""
    after: Mapping[str, int] = field(default_factory=dict)
    """The last records it has of that one."""


def hello_message(hello: Hello) -> Message:
    """As it is sent."""
    wants = asdict(hello)
    return {"type": "hello", "protocol": PROTOCOL, "version": __version__, "wants": wants}


def read_hello(message: Message) -> Hello:
    """What was sent.

    Raises:
        AttachError: it speaks another protocol, or none.
    """
    if message["type"] != "hello":
        raise AttachError("a console has to say hello first", fix="boxscope attach does")
    check_protocol(message, f"boxscope {__version__} of this engine")
    hello: Hello = from_plain(Hello, message.get("wants"))
    if not 0 <= hello.backlog <= _MOST_BACKLOG:
        raise AttachError(f"a backlog of {hello.backlog} records cannot be")
    return hello


def check_protocol(message: Message, own: str) -> None:
    """Whether the other side speaks the same version.

    Raises:
        AttachError: it does not.
    """
    spoken = message.get("protocol")
    if spoken != PROTOCOL:
        version = str(message.get("version", "?"))[:40]
        raise AttachError(
            f"the other side (boxscope {version}) speaks version {str(spoken)[:20]} of the attach "
            f"protocol, {own} version {PROTOCOL}",
            fix="run the engine and the console from the same boxscope",
        )
