"""Python modules with the life of Go's plugins: opened once, never closed, a failure is for good.

A second open of the same file, by whatever name, gives the same module; a file whose body has
raised is refused with the first error and ` (previous failure)`; a module that opens itself while
it initialises, which would hang in Go, is refused.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import inspect
import os
import sys
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any, NamedTuple

from engine.modules.runner.channel import TEXT, Tell


class Method(NamedTuple):
    """A method something is to have."""

    name: str
    arguments: int | None
    """How many it takes; None for any number."""


class Refused(Exception):
    """The module was not opened; the text is Go's where Go has one."""


class Panicked(Refused):
    """Its body raised, which has been told already."""


@dataclass(slots=True)
class _Opened:
    """What is known of one file."""

    module: ModuleType
    opener: int
    """Ident of the thread that initialises it."""
    failure: str = ""
    complete: threading.Event = field(default_factory=threading.Event)


class PythonLife:
    """Every module opened in this process, by the real path of its file."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._opened: dict[str, _Opened] = {}
        self._lock = threading.Lock()
        self._first = ""

    def open(self, name: str) -> ModuleType:
        """Open a module: its body runs, once; what hangs off `__main__` does not.

        Raises:
            Refused: the file is not to be had, or its body raised, now or before.
        """
        try:
            real = os.path.realpath(name, strict=True)
        except OSError:
            raise Refused(f'open("{name}"): realpath failed') from None
        with self._lock:
            known = self._opened.get(real)
            if known is None:
                known = self._opened[real] = _Opened(_new_module(name, real), threading.get_ident())
                self._first = self._first or real
                mine = True
            else:
                mine = False
        if mine:
            self._initialise(name, real, known)
        else:
            self._join(name, known)
        return known.module

    def _join(self, name: str, known: _Opened) -> None:
        if not known.complete.is_set() and known.opener == threading.get_ident():
            raise Refused(f'open("{name}"): it opens itself while it initialises; Go would hang')
        known.complete.wait()
        if known.failure:
            raise Refused(f'open("{name}"): {known.failure} (previous failure)')
        self._tell("already_open", text=f"{name} is open already: it is not initialised again")

    def _initialise(self, name: str, real: str, known: _Opened) -> None:
        sys.modules[known.module.__name__] = known.module
        spec = known.module.__spec__
        began = time.perf_counter_ns()
        try:
            assert spec is not None
            assert spec.loader is not None
            self._tell("opened", text="its body is about to run")
            spec.loader.exec_module(known.module)
        except BaseException as error:
            known.failure = described(error)
            self._tell("panicked", text=f"in init: {known.failure}", frame=frame_of(error, real))
            raise Panicked(f'open("{name}"): {known.failure}') from error
        finally:
            known.complete.set()
        elapsed_us = (time.perf_counter_ns() - began) / 1000
        self._tell("initialised", text="its body ran, __main__ did not", elapsed_us=elapsed_us)

    def module(self) -> ModuleType:
        """The first one opened."""
        return self._opened[self._first].module

    def lookup(self, symbol: str, interface: str, methods: Sequence[Method]) -> bool:
        """Find what the module exports, and see whether it satisfies an interface."""
        try:
            value = find(self.module(), symbol)
        except AttributeError as missing:
            self._tell("symbol_missing", symbol=symbol, text=str(missing))
            return False
        self._tell("symbol_found", symbol=symbol, text=_kind_of(value))
        if not methods:
            return True
        lacking = [problem for method in methods if (problem := why_not(value, method)) is not None]
        if lacking:
            self._tell("interface_missing", symbol=symbol, text="; ".join(lacking))
            return False
        self._tell("interface_satisfied", symbol=symbol, text=interface)
        return True

    def call(self, symbol: str, method: str, args: list[Any]) -> bool:
        """Call a method of what was looked up, or that itself."""
        shown = f"{symbol}.{method}" if method else symbol
        try:
            value = find(self.module(), symbol)
            function = getattr(value, method) if method else value
        except AttributeError as missing:
            self._tell("symbol_missing", symbol=shown, text=str(missing))
            return False
        self._tell("called", symbol=shown, text=", ".join(map(repr, args)))
        began = time.perf_counter_ns()
        try:
            result = repr(function(*args))[:TEXT]
        except BaseException as error:
            elapsed_us = (time.perf_counter_ns() - began) / 1000
            frame = frame_of(error, self._first)
            text = described(error)
            self._tell("panicked", symbol=shown, text=text, frame=frame, elapsed_us=elapsed_us)
            return False
        elapsed_us = (time.perf_counter_ns() - began) / 1000
        self._tell("returned", symbol=shown, text=result, elapsed_us=elapsed_us)
        return True


class _FromSource(importlib.machinery.SourceFileLoader):
    """Runs the file that was looked at, never what lies compiled beside it, and leaves none there.

    Compiled code is taken for the file's by its size and the second of its change: it may be what
    stood there before the last edit, or what somebody has put there.
    """

    def get_code(self, fullname: str) -> CodeType:
        path = self.get_filename(fullname)
        code: CodeType = self.source_to_code(self.get_data(path), path)
        return code


def _new_module(name: str, real: str) -> ModuleType:
    """A module of a private name, so that nothing imports it by chance."""
    private = f"_boxscope_module_{abs(hash(real)):x}"
    loader: Any = _FromSource(private, real)
    if real.endswith(tuple(importlib.machinery.EXTENSION_SUFFIXES)):
        # An extension module's entry point bears the file's own name.
        private = os.path.basename(real).partition(".")[0]
        loader = importlib.machinery.ExtensionFileLoader(private, real)
    elif real.endswith(tuple(importlib.machinery.BYTECODE_SUFFIXES)):
        loader = importlib.machinery.SourcelessFileLoader(private, real)
    spec = importlib.util.spec_from_file_location(private, real, loader=loader)
    if spec is None:
        raise Refused(f'open("{name}"): not a Python module')
    try:
        return importlib.util.module_from_spec(spec)
    except ImportError as error:
        raise Refused(f'open("{name}"): {error}') from error


def find(module: ModuleType, symbol: str) -> Any:
    """What a module exports: the names in `__all__`, else those that are no one's own business.

    Raises:
        AttributeError: it does not, in Go's words.
    """
    listed = getattr(module, "__all__", None)
    try:
        value = vars(module)[symbol]
    except KeyError:
        raise AttributeError(_not_found(module, symbol)) from None
    private = symbol.startswith("_") or isinstance(value, ModuleType)
    if symbol not in listed if listed is not None else private:
        raise AttributeError(_not_found(module, symbol) + " (it is not exported)")
    return value


def _not_found(module: ModuleType, symbol: str) -> str:
    return f"plugin: symbol {symbol} not found in plugin {module.__file__}"


def why_not(value: Any, method: Method) -> str | None:
    """Why a value does not have a method that can be called like this; None if it has.

    Looked at without running anything of the module's: `getattr` and `isinstance` with a protocol
    would run its properties, and the latter looks at names only.
    """
    if inspect.isclass(value):
        return f"{method.name}: it is the class, not an object of it"
    if isinstance(value, FunctionType):
        return f"{method.name}: it is a function, which has no methods"
    try:
        found = inspect.getattr_static(value, method.name)
    except AttributeError:
        return f"missing method {method.name}"
    if isinstance(found, property):
        return f"{method.name} is a property, not a method"
    bound = not isinstance(found, staticmethod) and method.name not in _own(value)
    function = found.__func__ if isinstance(found, (staticmethod, classmethod)) else found
    if not inspect.isroutine(function):
        return f"{method.name} is no method but a value of type {type(found).__name__}"
    if inspect.iscoroutinefunction(function):
        return f"{method.name} is async: calling it does not run it"
    try:
        signature = inspect.signature(function)
    except (ValueError, TypeError):
        return f"{method.name} tells no signature"
    try:
        signature.bind(*[None] * ((method.arguments or 0) + bound))
    except TypeError as error:
        count = method.arguments or 0
        return f"{method.name}{signature} cannot be called with {count} arguments: {error}"
    return None


def _own(value: Any) -> dict[str, Any]:
    """What lies in the object itself, where functions are not bound to it."""
    try:
        own = object.__getattribute__(value, "__dict__")
    except AttributeError:
        return {}
    return own if isinstance(own, dict) else {}


def _kind_of(value: Any) -> str:
    if inspect.isclass(value):
        return f"class {value.__name__}"
    if isinstance(value, FunctionType):
        return f"function {value.__name__}{inspect.signature(value)}"
    return f"{type(value).__qualname__} object"


def described(error: BaseException) -> str:
    """What an exception says of itself; of a syntax error without the lines that show the place."""
    lines = traceback.format_exception_only(error)
    return (lines[-1] if isinstance(error, SyntaxError) else "".join(lines)).strip()


def frame_of(error: BaseException, real: str) -> str:
    """The innermost place in the module's own file that an exception came through."""
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if os.path.realpath(frame.filename) == real
    ]
    if not frames:
        return ""
    return f"{frames[-1].name} at {os.path.basename(real)}:{frames[-1].lineno}"
