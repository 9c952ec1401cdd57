"""Starting and stopping the engine exactly once, from whatever thread."""

from __future__ import annotations

import threading

from engine.engine import Engine


class EngineLife:
    """Guards an engine: never started after it was stopped, never stopped while it starts."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._started = False
        self._stopped = False

    def start(self) -> None:
        """Start the engine unless the console is already on its way out."""
        with self._lock:
            if not self._started and not self._stopped:
                self._started = True
                self._engine.start()

    def stop_soon(self) -> None:
        """Stop the engine in a thread of its own."""
        threading.Thread(target=self.stop, name="boxscope-stop").start()

    def stop(self) -> None:
        """Stop the engine; waits for a start that is under way. May be called twice."""
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._engine.stop()
