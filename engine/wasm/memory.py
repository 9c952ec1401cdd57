"""A plugin's linear memory, reached without going through Wasmtime for every access."""

from __future__ import annotations

import ctypes

import wasmtime
from wasmtime import _ffi as ffi

RESERVED = 1 << 32
"""Address space of a 32-bit memory; Wasmtime reserves it whole, so that it never moves."""


class LinearMemory:
    """Linear memory as a view of the whole reservation, bounds-checked here.

    The size is asked for again only when an access seems to leave the memory, since a memory only
    grows. Access beyond the size would be a segmentation fault of the process: always ask
    `contains` first, as the host functions do.
    """

    def __init__(self) -> None:
        self._view = memoryview(b"")
        self._size = 0
        self._context: object = None
        """Wasmtime's pointer to the contents of the store."""
        self._memory: ffi.wasmtime_memory_t | None = None

    def attach(self, store: wasmtime.Store, memory: wasmtime.Memory) -> None:
        """Look at the memory of an instance; until then it has no bytes at all."""
        self._look(store._context(), memory._as_extern().of.memory)

    def attach_early(self, caller: int) -> None:
        """Look at the memory of an instance that is being made, whose start function calls.

        Args:
            caller: Wasmtime's pointer to who calls; only good during the call.
        """
        if self._memory is not None:
            return
        pointer = ctypes.cast(caller, ctypes.POINTER(ffi.wasmtime_caller_t))
        name = ctypes.create_string_buffer(b"memory")
        extern = ffi.wasmtime_extern_t()
        found = ffi.wasmtime_caller_export_get(pointer, name, 6, ctypes.byref(extern))
        if found and int(extern.kind) == ffi.WASMTIME_EXTERN_MEMORY.value:
            self._look(ffi.wasmtime_caller_context(pointer), extern.of.memory)

    def _look(self, context: object, memory: ffi.wasmtime_memory_t) -> None:
        self._context, self._memory = context, memory
        data = ffi.wasmtime_memory_data(context, ctypes.byref(memory))
        address = ctypes.cast(data, ctypes.c_void_p).value
        if address is not None:
            self._view = memoryview((ctypes.c_ubyte * RESERVED).from_address(address)).cast("B")
        self._size = self._ask_size()

    def detach(self) -> None:
        """Forget the memory, because its store is about to go."""
        self._size = 0
        self._view = memoryview(b"")
        self._context = self._memory = None

    @property
    def size(self) -> int:
        """Size in bytes now."""
        self._size = self._ask_size()
        return self._size

    def contains(self, pointer: int, length: int) -> bool:
        """Whether a range lies in the memory; the sum cannot wrap."""
        end = pointer + length
        return end <= self._size or end <= self.size

    def read(self, pointer: int, length: int) -> bytes:
        """A copy of a range that `contains` has confirmed."""
        return self._view[pointer : pointer + length].tobytes()

    def write(self, pointer: int, content: bytes) -> None:
        """Write to a range that `contains` has confirmed."""
        self._view[pointer : pointer + len(content)] = content

    def _ask_size(self) -> int:
        if self._memory is None:
            return 0
        return ffi.wasmtime_memory_data_size(self._context, ctypes.byref(self._memory))
