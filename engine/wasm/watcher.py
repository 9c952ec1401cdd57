"""Notices that a plugin's file has been built again."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

_Stamp = tuple[int, int, int]


class FileWatcher:
    """Looks at files twice a second, in a thread of its own that begins with the first file.

    Args:
        changed: Called in that thread with a file that has changed and then stayed as it is for
            one look; a file that is gone has not changed.
        period_s: Seconds between two looks.
    """

    def __init__(self, changed: Callable[[Path], None], period_s: float = 0.25) -> None:
        self._changed = changed
        self._period_s = period_s
        self._known: dict[Path, _Stamp | None] = {}
        self._seen: dict[Path, _Stamp] = {}
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def watch(self, path: Path) -> None:
        """Watch a file; what it is now counts as known."""
        with self._lock:
            self._known[path] = _stamp(path)
            self._seen.pop(path, None)
            if self._thread is None:
                self._stop.clear()
                self._thread = threading.Thread(target=self._run, name="wasm-watcher", daemon=True)
                self._thread.start()

    def forget(self, path: Path) -> None:
        """Watch a file no longer."""
        with self._lock:
            self._known.pop(path, None)
            self._seen.pop(path, None)

    def stop(self) -> None:
        """End the thread and forget the files."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._known.clear()
        self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._period_s):
            for path in list(self._known):
                if self._has_settled(path):
                    self._changed(path)

    def _has_settled(self, path: Path) -> bool:
        """Whether a file is another one than it was known to be, and the same as a look before."""
        stamp = _stamp(path)
        with self._lock:
            if stamp is None or path not in self._known or stamp == self._known[path]:
                self._seen.pop(path, None)
                return False
            if self._seen.get(path) != stamp:
                self._seen[path] = stamp
                return False
            self._known[path] = stamp
            del self._seen[path]
            return True


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
