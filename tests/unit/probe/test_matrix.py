from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from engine.probe.catalogue import Cell, resolve
from engine.probe.events import COLUMNS
from engine.probe.matrix import SIZE, Matrix

(READ_NET,) = resolve("syscall_exit-read", "net")
(READ_FILE,) = resolve("syscall_exit-read", "file")
ROW = READ_NET.event.type_id * COLUMNS
GENERATION = ROW + COLUMNS - 1


@pytest.fixture
def memory() -> Iterator[int]:
    descriptor = os.memfd_create("matrix")
    os.ftruncate(descriptor, SIZE)
    yield descriptor
    os.close(descriptor)


@pytest.fixture
def matrix(memory: int) -> Iterator[Matrix]:
    one = Matrix(memory)
    yield one
    one.close()
    one.close()


def lit(memory: int) -> list[int]:
    """Where the bytes are that are not zero, generations apart."""
    content = os.pread(memory, SIZE, 0)
    return [at for at, byte in enumerate(content) if byte and at % COLUMNS != COLUMNS - 1]


def test_everything_is_off_at_first(matrix: Matrix, memory: int) -> None:
    assert lit(memory) == []


def test_a_switch_is_one_byte_at_its_row_and_category(matrix: Matrix, memory: int) -> None:
    matrix.set(READ_NET, True)
    assert lit(memory) == [ROW + READ_NET.category]
    matrix.set(READ_NET, False)
    assert lit(memory) == []


def test_a_row_changes_its_generation_whenever_it_changes(matrix: Matrix, memory: int) -> None:
    def generation() -> int:
        return os.pread(memory, 1, GENERATION)[0]

    seen = [generation()]
    turns: list[tuple[Cell, bool]] = [(READ_NET, True), (READ_FILE, True), (READ_NET, False)]
    for cell, on in turns:
        matrix.set(cell, on)
        seen.append(generation())
    assert len(set(seen)) == 4
    matrix.set(READ_NET, False)
    assert generation() == seen[-1]


def test_generations_start_over_after_the_last(matrix: Matrix, memory: int) -> None:
    for turn in range(256):
        matrix.set(READ_NET, turn % 2 == 0)
    assert os.pread(memory, 1, GENERATION) == b"\0"
