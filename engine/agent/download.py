"""Fetch a plugin's artifact over HTTP and let nothing else than the expected bytes through."""

from __future__ import annotations

import hashlib
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from typing import IO

from engine.core.errors import PluginError
from engine.core.progress import Progress, say_nothing
from engine.core.sanitise import clean

MAX_BYTES = 512 * 1024 * 1024
"""Longest artifact, as with the Elkeid agent."""
TOTAL_S = 600.0
"""Longest time for one URL, as with the agent."""
SILENCE_S = 15.0
"""Longest wait for a connection, or for the next bytes on it."""
CHUNK_BYTES = 256 * 1024


class Abandoned(PluginError):
    """The download was given up because nobody wants it any more."""


def download(
    urls: Sequence[str],
    sha256: str,
    target: Path,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Progress = say_nothing,
    max_bytes: int = MAX_BYTES,
    total_s: float = TOTAL_S,
) -> None:
    """Write the artifact to `target`, from the first URL that has it.

    Args:
        urls: `http` or `https`; tried in order.
        sha256: What it must be.
        target: A file of the caller's; whatever it holds is overwritten.
        cancelled: Asked again and again; True gives up.
        progress: Told with every piece how many bytes have come.
        max_bytes: Longest artifact.
        total_s: Longest time for one URL.

    Raises:
        PluginError: no URL had it; the message says of each why not.
    """
    reasons: list[str] = []
    for url in urls:
        fetch = _Fetch(url, target, cancelled, progress, max_bytes, time.monotonic() + total_s)
        reason = fetch.run(sha256)
        if not reason:
            return
        reasons.append(f"{clean(url, 200)}: {reason}")
    raise PluginError(
        f"cannot download it: {'; '.join(reasons) or 'it has no download_urls'}",
        fix="have a URL deliver a file of that sha256 within "
        f"{total_s:.0f} s and {max_bytes >> 20} MiB",
    )


class _Fetch:
    """One URL tried."""

    def __init__(
        self,
        url: str,
        target: Path,
        cancelled: Callable[[], bool],
        progress: Progress,
        max_bytes: int,
        deadline_s: float,
    ) -> None:
        self._url = url
        self._target = target
        self._cancelled = cancelled
        self._progress = progress
        self._max_bytes = max_bytes
        self._deadline_s = deadline_s

    def run(self, sha256: str) -> str:
        """Fetch it; returns why it is not the artifact, or an empty text."""
        try:
            request = urllib.request.Request(self._url, headers={"User-Agent": "boxscope"})
            with (
                _opener().open(request, timeout=self._left_s()) as response,
                self._target.open("wb") as file,
            ):
                size, digest = self._copy(response, file)
        except urllib.error.HTTPError as refused:
            refused.close()
            return f"HTTP status {refused.code}"
        except urllib.error.URLError as failed:
            return clean(str(failed.reason), 200)
        except (OSError, HTTPException, ValueError) as failed:
            return clean(str(failed) or type(failed).__name__, 200)
        if digest != sha256:
            return f"its {size} bytes have SHA-256 {digest}, not {sha256}"
        return ""

    def _copy(self, response: HTTPResponse, file: IO[bytes]) -> tuple[int, str]:
        hashed = hashlib.sha256()
        size, total = 0, response.length
        while True:
            if self._cancelled():
                raise Abandoned("the download was given up")
            chunk = response.read1(CHUNK_BYTES)
            if not chunk:
                return size, hashed.hexdigest()
            size += len(chunk)
            if size > self._max_bytes:
                raise ValueError(f"longer than {self._max_bytes} bytes")
            self._left_s()
            hashed.update(chunk)
            file.write(chunk)
            self._progress(size, total)

    def _left_s(self) -> float:
        left = self._deadline_s - time.monotonic()
        if left <= 0:
            raise TimeoutError("took too long")
        return min(left, SILENCE_S)


def _opener() -> urllib.request.OpenerDirector:
    """HTTP and HTTPS with redirects; no files, no FTP, no proxy from the environment."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.UnknownHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener
