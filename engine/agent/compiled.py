"""The loop over length prefixes in compiled code, for plugins that send a flood.

In Python that loop takes as long as reading the bytes. Here it is a WebAssembly function, and
the slab is its memory: it takes a tenth of that, and the interpreter is free meanwhile. Loading
it takes 0.1 s and 20 MB, which is why `Ingest` does so only when a plugin sends a lot.
"""

from __future__ import annotations

import struct
from typing import cast

import wasmtime

from engine.agent.wire import MANY_FRAMES, SLAB_BYTES, Slab, Walked

_PAGE = 64 * 1024
_RESULT = struct.Struct("<III")

_WALK = """
(module
  (memory (export "memory") {pages} {pages})
  (func (export "walk") (param $position i32) (param $end i32)
    (local $count i32) (local $empty i32) (local $length i32)
    (block $done
      (loop $next
        (br_if $done (i32.lt_u (i32.sub (local.get $end) (local.get $position)) (i32.const 4)))
        (local.set $length (i32.load (local.get $position)))
        (br_if $done
          (i32.gt_u
            (local.get $length)
            (i32.sub (i32.sub (local.get $end) (local.get $position)) (i32.const 4))))
        (local.set $position
          (i32.add (local.get $position) (i32.add (local.get $length) (i32.const 4))))
        (local.set $count (i32.add (local.get $count) (i32.const 1)))
        (local.set $empty (i32.add (local.get $empty) (i32.eqz (local.get $length))))
        (br $next)))
    (i32.store (i32.const {count}) (local.get $count))
    (i32.store (i32.const {empty}) (local.get $empty))
    (i32.store (i32.const {end}) (local.get $position))))
"""


class CompiledSlab(Slab):
    """A slab whose length prefixes are followed by compiled code."""

    def __init__(self) -> None:
        """Compile the loop.

        Raises:
            wasmtime.WasmtimeError: it cannot be compiled for this machine.
        """
        config = wasmtime.Config()
        # Bounds are checked by comparison: no signal handlers, no address space held in reserve.
        config.signals_based_traps = False
        config.memory_reservation = 0
        config.memory_guard_size = 0
        config.parallel_compilation = False
        self._store = wasmtime.Store(wasmtime.Engine(config))
        module = wasmtime.Module(self._store.engine, _module_text())
        exports = wasmtime.Instance(self._store, module, []).exports(self._store)
        self._walk = cast(wasmtime.Func, exports["walk"])
        memory = cast(wasmtime.Memory, exports["memory"])
        super().__init__(memoryview(memory.get_buffer_ptr(self._store)).cast("B"))

    def walk(self, begin: int, end: int, expected: int) -> Walked:
        """Follow the length prefixes from `begin` to `end`; about `expected` are to come."""
        if expected < MANY_FRAMES:
            return super().walk(begin, end, expected)
        self._walk(self._store, begin, end)
        return Walked(*_RESULT.unpack_from(self.memory, SLAB_BYTES))


def _module_text() -> str:
    """The module, with room for the slab and behind it for the result."""
    return _WALK.format(
        pages=SLAB_BYTES // _PAGE + 1,
        count=SLAB_BYTES,
        empty=SLAB_BYTES + 4,
        end=SLAB_BYTES + 8,
    )
