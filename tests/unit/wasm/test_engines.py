"""Compiled modules are kept by their content, in memory and in a folder nobody else can write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import wasmtime

from engine.core.errors import WasmError
from engine.wasm.engines import Engines, Options
from tests.unit.wasm import wat


def test_the_same_bytes_are_compiled_once() -> None:
    engines = Engines()
    assert engines.compile(wat.plugin(), Options()) is engines.compile(wat.plugin(), Options())
    assert engines.compile(wat.plugin(pages=5), Options()) is not engines.compile(
        wat.plugin(), Options()
    )


def test_there_is_one_engine_for_each_set_of_options() -> None:
    engines = Engines()
    made = {engines.engine(Options(deadline=False)), engines.engine(Options(fuel=True))}
    assert made | {engines.engine(Options())} == {
        engines.engine(options)
        for options in (Options(deadline=False), Options(fuel=True), Options())
    }
    assert len(made) == 2


def test_a_compiled_module_is_found_by_the_next_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache" / "wasm"
    Engines(folder).compile(wat.plugin(), Options())
    (kept,) = folder.iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert folder.stat().st_mode & 0o777 == 0o700

    def not_again(*_: object) -> None:
        raise AssertionError("compiled again")

    monkeypatch.setattr(wasmtime.Module, "__init__", not_again)
    Engines(folder).compile(wat.plugin(), Options())


def test_options_and_content_have_modules_of_their_own(tmp_path: Path) -> None:
    engines = Engines(tmp_path / "cache")
    engines.compile(wat.plugin(), Options())
    engines.compile(wat.plugin(), Options(fuel=True))
    engines.compile(wat.plugin(pages=5), Options())
    assert len(list((tmp_path / "cache").iterdir())) == 3


@pytest.mark.parametrize("what", ["file", "folder"])
def test_what_others_could_have_written_is_not_read(tmp_path: Path, what: str) -> None:
    """A file that holds anything else would be refused or crash; it is not even opened."""
    folder = tmp_path / "cache"
    Engines(folder).compile(wat.plugin(), Options())
    (kept,) = folder.iterdir()
    kept.write_bytes(b"not a compiled module")
    (kept if what == "file" else folder).chmod(0o777)
    assert isinstance(Engines(folder).compile(wat.plugin(), Options()), wasmtime.Module)


def test_a_broken_entry_is_compiled_again(tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    Engines(folder).compile(wat.plugin(), Options())
    (kept,) = folder.iterdir()
    kept.write_bytes(b"broken")
    Engines(folder).compile(wat.plugin(), Options())
    assert kept.stat().st_size > 1_000


def test_a_folder_that_cannot_be_made_costs_only_time(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    Engines(blocked / "cache").compile(wat.plugin(), Options())


def test_what_does_not_compile_is_not_kept(tmp_path: Path) -> None:
    with pytest.raises(WasmError):
        Engines(tmp_path).compile(b"\0asm", Options())
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("before", [None, "0"])
def test_the_environment_is_left_as_it_was(
    monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    monkeypatch.delenv("WASMTIME_BACKTRACE_DETAILS", raising=False)
    if before is not None:
        monkeypatch.setenv("WASMTIME_BACKTRACE_DETAILS", before)
    Engines().engine(Options())
    assert os.environ.get("WASMTIME_BACKTRACE_DETAILS") == before
