"""Text from outside made safe to show, in one place.

Process names, arguments, payloads, file names, stderr and plugin fields are written by
whoever wants to write them. A terminal obeys control characters, and bidirectional
controls let a name read as another one. Both become visible symbols here, before the
text is stored for display; raw bytes are kept elsewhere for the hex view.
"""

from __future__ import annotations

import re

_C0_AND_DEL = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421}
_C1 = {code: f"\\x{code:02x}" for code in range(0x80, 0xA0)}
_INVISIBLE = {
    code: f"\\u{code:04x}"
    for code in (
        0x00AD,  # soft hyphen
        0x061C,  # Arabic letter mark
        *range(0x200B, 0x2010),  # zero-width, LRM, RLM
        0x2028,
        0x2029,  # line and paragraph separators
        *range(0x202A, 0x202F),  # embeddings and overrides
        *range(0x2060, 0x2070),  # word joiner, isolates, deprecated controls
        0xFEFF,  # byte order mark
        *range(0xFFF9, 0xFFFC),  # interlinear annotation
    )
}
_SURROGATES = {code: f"\\x{code - 0xDC00:02x}" for code in range(0xDC80, 0xDD00)}
_LONE_SURROGATES = {
    code: "\N{REPLACEMENT CHARACTER}" for code in range(0xD800, 0xE000) if code not in _SURROGATES
}
_TABLE: dict[int, int | str] = {
    **_C0_AND_DEL,
    **_C1,
    **_INVISIBLE,
    **_SURROGATES,
    **_LONE_SURROGATES,
}
_SUSPECT = re.compile("[" + "".join(re.escape(chr(code)) for code in sorted(_TABLE)) + "]")

ELLIPSIS = "…"


def clean(text: str | bytes, limit: int = 4096) -> str:
    """`text` with everything a terminal would obey made visible.

    Args:
        text: Text or bytes from outside; bytes are read as UTF-8 and every byte that is
            not UTF-8 becomes `\\xNN`.
        limit: Longest result in characters; what is cut off is marked with an ellipsis.

    Returns:
        One line without control, bidirectional or invisible characters. Nothing in it is
        markup: callers still never hand it to a markup parser.
    """
    if isinstance(text, bytes):
        text = text[: limit * 4 + 4].decode("utf-8", "surrogateescape")
    shortened = text[: limit + 1]
    if _SUSPECT.search(shortened):
        shortened = shortened.translate(_TABLE)
    if len(shortened) > limit:
        return shortened[: limit - 1] + ELLIPSIS
    return shortened
