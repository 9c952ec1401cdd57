"""Shared objects with a C interface, Go's c-shared libraries among them, loaded through ctypes.

A function is called only if its types are known: without them ctypes takes every result for an
int, and cuts pointers in half.
"""

from __future__ import annotations

import ctypes
import os
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

from engine.modules.runner.channel import TEXT, Tell
from engine.modules.runner.protocol import Signature
from engine.modules.runner.python_life import Method, Refused

_INTEGERS: Mapping[str, Any] = {
    "char": ctypes.c_byte,
    "signed char": ctypes.c_byte,
    "unsigned char": ctypes.c_ubyte,
    "short": ctypes.c_short,
    "unsigned short": ctypes.c_ushort,
    "int": ctypes.c_int,
    "unsigned": ctypes.c_uint,
    "unsigned int": ctypes.c_uint,
    "long": ctypes.c_long,
    "unsigned long": ctypes.c_ulong,
    "long int": ctypes.c_long,
    "long unsigned int": ctypes.c_ulong,
    "long long": ctypes.c_longlong,
    "unsigned long long": ctypes.c_ulonglong,
    "long long int": ctypes.c_longlong,
    "long long unsigned int": ctypes.c_ulonglong,
    "_Bool": ctypes.c_bool,
    "bool": ctypes.c_bool,
    "size_t": ctypes.c_size_t,
    "ssize_t": ctypes.c_ssize_t,
    **{f"int{bits}_t": getattr(ctypes, f"c_int{bits}") for bits in (8, 16, 32, 64)},
    **{f"uint{bits}_t": getattr(ctypes, f"c_uint{bits}") for bits in (8, 16, 32, 64)},
    "uintptr_t": ctypes.c_size_t,
    "GoInt": ctypes.c_longlong,
    "GoUint": ctypes.c_ulonglong,
    "GoInt8": ctypes.c_int8,
    "GoUint8": ctypes.c_uint8,
    "GoInt16": ctypes.c_int16,
    "GoUint16": ctypes.c_uint16,
    "GoInt32": ctypes.c_int32,
    "GoUint32": ctypes.c_uint32,
    "GoInt64": ctypes.c_int64,
    "GoUint64": ctypes.c_uint64,
    "GoUintptr": ctypes.c_size_t,
    "GoBool": ctypes.c_uint8,
}
_FLOATS: Mapping[str, Any] = {
    "float": ctypes.c_float,
    "double": ctypes.c_double,
    "GoFloat32": ctypes.c_float,
    "GoFloat64": ctypes.c_double,
}
_CHAR_POINTER = re.compile(r"(?:const )?(?:unsigned |signed )?char ?(?:const )?\*")


class CLife:
    """The shared objects of this process; the first one opened is the module."""

    def __init__(self, tell: Tell, signatures: Mapping[str, Signature], settle_s: float) -> None:
        self._tell = tell
        self._signatures = signatures
        self._settle_s = settle_s
        self._libraries: dict[tuple[int, int], ctypes.CDLL] = {}

    def open(self, name: str) -> None:
        """Load a shared object: its constructors run.

        Raises:
            Refused: the loader does not take it, in its own words.
        """
        try:
            status = os.stat(name)
        except OSError as error:
            raise Refused(f"{name}: {error.strerror}") from None
        inode = status.st_dev, status.st_ino
        if inode in self._libraries:
            self._tell("already_open", text=f"{name} is loaded already: the loader keeps one")
            return
        began = time.perf_counter_ns()
        try:
            self._libraries[inode] = ctypes.CDLL(os.path.abspath(name))
        except OSError as error:
            raise Refused(str(error)) from None
        elapsed_us = (time.perf_counter_ns() - began) / 1000
        self._tell("opened", text="its constructors have run", elapsed_us=elapsed_us)
        if self._settle_s:
            # A Go runtime initialises in a thread of its own and tells nobody when it has done so;
            # what its init functions do wrong, they do within this time or in the first call.
            time.sleep(self._settle_s)
            text = (
                f"it has lived for {self._settle_s * 1000:.0f} ms; Go's init ran in the background"
            )
        else:
            text = "its constructors were all there is to run"
        self._tell("initialised", text=text)

    def lookup(self, symbol: str, interface: str, methods: Sequence[Method]) -> bool:
        """Find a function, and those of an interface, by their names."""
        if self._function(symbol) is None:
            return False
        known = self._signatures.get(symbol)
        shown = shown_signature(symbol, known) if known else "its types are not known"
        self._tell("symbol_found", symbol=symbol, text=shown)
        if not methods:
            return True
        missing = [method.name for method in methods if not self._has(method.name)]
        if missing:
            text = "; ".join(f"missing function {name}" for name in missing)
            self._tell("interface_missing", symbol=symbol, text=text)
            return False
        text = f"{interface}: there are functions of these names, C tells no more"
        self._tell("interface_satisfied", symbol=symbol, text=text)
        return True

    def call(self, symbol: str, method: str, args: list[Any]) -> bool:
        """Call a function."""
        name = method or symbol
        function = self._function(name)
        if function is None:
            return False
        signature = self._signatures.get(name)
        try:
            if signature is None:
                raise Refused(
                    f"the types of {name} are not known, and a call that gets them wrong does "
                    "anything: give its prototype"
                )
            values = prepare(function, name, signature, args)
        except Refused as refused:
            self._tell("refused", symbol=name, text=str(refused))
            return False
        self._tell("called", symbol=name, text=", ".join(map(repr, args)))
        began = time.perf_counter_ns()
        try:
            result = function(*values)
        except (ctypes.ArgumentError, OSError) as error:
            self._tell("refused", symbol=name, text=str(error))
            return False
        elapsed_us = (time.perf_counter_ns() - began) / 1000
        text = self._shown(result, signature)
        self._tell("returned", symbol=name, text=text, elapsed_us=elapsed_us)
        return True

    def _library(self) -> ctypes.CDLL:
        return next(iter(self._libraries.values()))

    def _has(self, name: str) -> bool:
        return hasattr(self._library(), name)

    def _function(self, name: str) -> Any:
        try:
            return getattr(self._library(), name)
        except AttributeError as missing:
            self._tell("symbol_missing", symbol=name, text=str(missing))
            return None

    def _shown(self, result: Any, signature: Signature) -> str:
        """What came back; text is copied, and given back where the library says how."""
        if signature.result == "void":
            return "nothing"
        if not _CHAR_POINTER.fullmatch(signature.result):
            return str(result)
        if result is None:
            return "NULL"
        text = repr(ctypes.string_at(result)[:TEXT].decode("utf-8", "backslashreplace"))
        if signature.result.startswith("const "):
            return text
        release = self._release()
        if release is None:
            return f"{text}, leaked: the library exports no function to free it"
        getattr(self._library(), release)(ctypes.c_void_p(result))
        return f"{text}, given back to {release}"

    def _release(self) -> str | None:
        """The library's own function to free text with."""
        for name, signature in self._signatures.items():
            takes = " ".join(signature.parameters).replace(" ", "")
            if (
                signature.result == "void"
                and takes in ("char*", "void*")
                and "free" in name.lower()
            ):
                return name
        return None


def prepare(function: Any, name: str, signature: Signature, args: list[Any]) -> list[Any]:
    """Tell ctypes the types of a function; returns the arguments as it wants them.

    Raises:
        Refused: it cannot be called from here, or not with these arguments.
    """
    if len(args) != len(signature.parameters):
        raise Refused(
            f"{shown_signature(name, signature)} takes {len(signature.parameters)} arguments, "
            f"not {len(args)}"
        )
    function.argtypes = [_type(each, name) for each in signature.parameters]
    if _CHAR_POINTER.fullmatch(signature.result):
        function.restype = ctypes.c_void_p  # c_char_p would lose the address that is to be freed
    elif signature.result == "void":
        function.restype = None
    else:
        function.restype = _type(signature.result, name)
    return [_value(*pair) for pair in zip(args, signature.parameters, strict=True)]


def _type(text: str, name: str) -> Any:
    if _CHAR_POINTER.fullmatch(text):
        return ctypes.c_char_p
    if text.endswith("*"):
        return ctypes.c_void_p
    known = _INTEGERS.get(text) or _FLOATS.get(text)
    if known is None:
        raise Refused(f"{name} is not callable from the console: it passes a {text} by value")
    return known


def _value(given: Any, text: str) -> Any:
    try:
        if _CHAR_POINTER.fullmatch(text):
            return None if given is None else str(given).encode()
        if text in _FLOATS:
            return float(given)
        number = int(str(given), 0)
    except (ValueError, OverflowError):
        raise Refused(f"{given!r} is no {text}") from None
    width = ctypes.sizeof(_INTEGERS.get(text, ctypes.c_void_p)) * 8
    if not -(1 << (width - 1)) <= number < 1 << width:
        raise Refused(f"{given!r} does not fit into the {width} bits of {text}")
    return number


def shown_signature(name: str, signature: Signature) -> str:
    """`int Add(int, int)`."""
    return f"{signature.result} {name}({', '.join(signature.parameters) or 'void'})"
