"""Why the kernel drops packets and resets connections, in the running kernel's own words.

The numbers of `enum skb_drop_reason` and `enum sk_rst_reason` change between kernels; their names
are read from the kernel's type information.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from engine.probe.btf import Btf

DROP_REASONS = "skb_drop_reason"
RESET_REASONS = "sk_rst_reason"

_DROP_PREFIX = "SKB_DROP_REASON_"
_RESET_PREFIX = "SK_RST_REASON_"
_TCP_PREFIX = f"{_DROP_PREFIX}TCP_"
_WORDS = 3
_BITS = 64
_NO_SUCH_REASON = 0xFFFF


def drop_definitions(reasons: Mapping[int, str]) -> dict[str, int]:
    """Compiler definitions that tell the programs which reasons are TCP's.

    Args:
        reasons: Names of the kernel's `enum skb_drop_reason` by number.
    """
    words = [0] * _WORDS
    for number, name in reasons.items():
        if name.startswith(_TCP_PREFIX) and 0 <= number < _WORDS * _BITS:
            words[number // _BITS] |= 1 << number % _BITS
    number_of = {name: number for number, name in reasons.items()}
    return {
        **{f"DROP_TCP_{index}": word for index, word in enumerate(words)},
        "DROP_NOT_SPECIFIED": number_of.get(f"{_DROP_PREFIX}NOT_SPECIFIED", 0),
        "DROP_PROTO_MEM": number_of.get(f"{_DROP_PREFIX}PROTO_MEM", _NO_SUCH_REASON),
        "DROP_SOCKET_BACKLOG": number_of.get(f"{_DROP_PREFIX}SOCKET_BACKLOG", _NO_SUCH_REASON),
    }


def drop_reason(number: int) -> str:
    """TCP_OLD_SEQUENCE, ..., or the number where this kernel has no name for it."""
    return _named(DROP_REASONS, number).removeprefix(_DROP_PREFIX)


def reset_reason(number: int) -> str:
    """TCP_STATE, ..., or the number where this kernel has no name for it."""
    return _named(RESET_REASONS, number).removeprefix(_RESET_PREFIX)


def _named(enumeration: str, number: int) -> str:
    return _names(enumeration).get(number) or str(number)


@cache
def _names(enumeration: str) -> Mapping[int, str]:
    """The running kernel's names, read once."""
    try:
        return Btf.load().enumerators(enumeration)
    except KeyError:
        return {}
