"""A host opens one file after the other: what the loader and `plugin.Open` remember.

The host is made by hand around a real program of this box, so that no Go is needed; tests/go does
the same with real hosts and plugins.
"""

from __future__ import annotations

import os
import struct
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import ModuleLoadError
from engine.modules.host import Host, read_host
from engine.modules.modulelist import NO_MODULE
from engine.modules.opening import HostProcess, open_in_turn
from engine.modules.outcome import MEANINGS
from tests.unit.modules.elf_writer import PACKAGES as PACKAGES_OF_PLUGINS
from tests.unit.modules.elf_writer import GoPluginWriter, doctor_plugin
from tests.unit.modules.linkages import build

PROGRAM = Path(sys.executable)
PACKAGES = {"runtime": b"\1"}
ARM64 = 183


@cache
def taken_for_go() -> Host:
    """A program of this box, taken for one that has package plugin."""
    return replace(read_host(PROGRAM), fingerprints=PACKAGES, build=build(), reason="")


@pytest.fixture
def host() -> Host:
    return taken_for_go()


def a_library() -> str:
    """Some C library that is loaded here."""
    maps = Path("/proc/self/maps").read_text().split()
    return next(each for each in maps if each.startswith("/") and "/libc." in each)


def test_a_statically_linked_host_dies_of_whatever_it_loads(host: Host, tmp_path: Path) -> None:
    static = replace(host, fingerprints={}, is_static=True)
    text = tmp_path / "text.so"
    text.write_bytes(b"text" * 100)
    process = HostProcess(static)
    assert process.open(str(text)).outcome == "refused"
    verdict = process.open(a_library())
    assert (verdict.outcome, verdict.text) == ("kills-host", NO_MODULE)
    assert "statically" in verdict.reason


def test_a_missing_file_is_looked_for_again(host: Host, tmp_path: Path) -> None:
    process, name = HostProcess(host), str(tmp_path / "late.so")
    assert process.open(name).text == f'plugin.Open("{name}"): realpath failed'
    Path(name).write_bytes(b"text" * 100)
    assert process.open(name).text == f'plugin.Open("{name}"): {name}: invalid ELF header'


def test_a_file_is_no_directory(host: Host, tmp_path: Path) -> None:
    (tmp_path / "file.so").write_bytes(b"text" * 100)
    for name in (f"{tmp_path}/file.so/", f"{tmp_path}/file.so/../file.so"):
        assert HostProcess(host).open(name).text == f'plugin.Open("{name}"): realpath failed'


def test_a_file_cut_short_within_its_headers_is_refused(host: Host, tmp_path: Path) -> None:
    short = tmp_path / "short.so"
    short.write_bytes(doctor_plugin().build()[:100])
    verdict = HostProcess(host).open(str(short))
    assert verdict.outcome == "refused"
    assert verdict.text == f'plugin.Open("{short}"): {short}: cannot read file data'


def ident(offset: int, value: int) -> bytes:
    """The beginning of a shared object for x86-64, one byte of it changed."""
    header = bytearray(b"\x7fELF\2\1\1".ljust(16, b"\0") + b"\3\0\x3e\0\1\0\0\0")
    header[offset] = value
    return bytes(header).ljust(100, b"\0")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "file too short"),
        (b"\x7fELF", "file too short"),
        (b"!<arch>\n" + b" " * 100, "invalid ELF header"),
        (b"\x7fELF\1" + b"\0" * 100, "wrong ELF class: ELFCLASS32"),
        (ident(5, 2), "ELF file data encoding not little-endian"),
        (ident(6, 0), "ELF file version ident does not match current one"),
        (ident(7, 9), "ELF file OS ABI invalid"),
        (ident(8, 1), "ELF file ABI version invalid"),
        (ident(12, 1), "nonzero padding in e_ident"),
        (ident(20, 2), "ELF file version does not match current one"),
    ],
)
def test_what_is_no_library_is_refused_in_the_loaders_words(
    host: Host, tmp_path: Path, content: bytes, words: str
) -> None:
    file = tmp_path / "file.so"
    file.write_bytes(content)
    verdict = HostProcess(host).open(str(file))
    assert (verdict.outcome, verdict.text) == ("refused", f'plugin.Open("{file}"): {file}: {words}')


def test_a_file_that_contradicts_itself_cannot_be_judged(host: Host, tmp_path: Path) -> None:
    file = tmp_path / "file.so"
    file.write_bytes(ident(5, 1)[:24] + b"\xff" * 100)
    process = HostProcess(host)
    assert process.open(str(file)).outcome == "unknown"
    assert process.open(str(file)).outcome == "not-reached"


def test_a_directory_is_refused_and_a_pipe_hangs_with_all_that_follows(
    host: Host, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "pipe")
    process = HostProcess(host)
    assert process.open(str(tmp_path)).text.endswith("cannot read file data: Is a directory")
    assert process.open(str(tmp_path / "pipe")).outcome == "hangs"
    assert process.open(a_library()).outcome == "hangs"
    assert process.open(str(tmp_path / "nowhere")).outcome == "refused"


def test_a_c_library_kills_the_host_and_nothing_follows(host: Host) -> None:
    first, second = (verdict for process in [HostProcess(host)] for verdict in
                     (process.open(a_library()), process.open(a_library())))  # fmt: skip
    assert (first.outcome, first.text) == ("kills-host", NO_MODULE)
    assert second.outcome == "not-reached"


def test_processes_of_one_host_know_nothing_of_each_other(host: Host) -> None:
    assert [HostProcess(host).open(a_library()).outcome for _ in range(2)] == ["kills-host"] * 2


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000])
def test_a_name_that_names_nothing_is_refused(host: Host, name: str) -> None:
    assert HostProcess(host).open(name).text == f'plugin.Open("{name}"): realpath failed'


def test_a_program_without_package_plugin_opens_nothing() -> None:
    (verdict,) = open_in_turn(PROGRAM, ["anything.so"])
    assert (verdict.outcome, verdict.reason) == ("host-cannot", "it is no Go program")


@pytest.mark.parametrize("path", [__file__, "/", "/nowhere", a_library()])
def test_what_is_no_program_is_no_host(path: str) -> None:
    with pytest.raises(ModuleLoadError, match=Path(path).name or "/"):
        read_host(Path(path))


def test_a_verdict_shows_hostile_names_harmlessly(host: Host) -> None:
    shown = HostProcess(host).open("a\x1b[2J.so").as_json()
    assert shown["file"] == "a␛[2J.so"
    assert "\x1b" not in str(shown)


@pytest.fixture
def go_host(host: Host) -> Host:
    """A host with packages of the plugins that are made for tests."""
    return replace(host, fingerprints=PACKAGES_OF_PLUGINS, build=build("1.25.5"))


@pytest.mark.parametrize("prefix", ["go:", "go."])
def test_a_plugin_with_equal_packages_opens_and_stays_open(
    go_host: Host, tmp_path: Path, prefix: str
) -> None:
    plugin = tmp_path / "plug.so"
    plugin.write_bytes(doctor_plugin(prefix=prefix).build(sections=False))
    process = HostProcess(go_host)
    first = process.open(str(plugin))
    assert (first.outcome, first.shared) == ("opens", len(PACKAGES_OF_PLUGINS))
    assert process.open(str(plugin)).outcome == "opens"


def test_every_package_that_differs_is_listed_and_the_first_is_named(
    go_host: Host, tmp_path: Path
) -> None:
    other = dict.fromkeys(PACKAGES_OF_PLUGINS, b"otherone")
    plugin = tmp_path / "plug.so"
    plugin.write_bytes(doctor_plugin(packages=other).build())
    verdict = HostProcess(go_host).open(str(plugin))
    first = next(iter(PACKAGES_OF_PLUGINS))
    assert verdict.text.endswith(
        f'plug"): plugin was built with a different version of package {first}'
    )
    assert [each.package for each in verdict.differences] == list(PACKAGES_OF_PLUGINS)


def test_an_export_without_symbol_is_missed_and_then_waited_for(
    go_host: Host, tmp_path: Path
) -> None:
    writer = GoPluginWriter()
    writer.export("Gone", writer.type(19, "func()"), present=False)
    writer.finish()
    plugin = tmp_path / "plug.so"
    plugin.write_bytes(writer.build())
    process = HostProcess(go_host)
    assert "could not find symbol Gone: " in process.open(str(plugin)).text
    assert process.open(str(plugin)).outcome == "hangs"


def test_a_plugin_for_another_processor_is_not_found(go_host: Host, tmp_path: Path) -> None:
    plugin = tmp_path / "plug.so"
    plugin.write_bytes(doctor_plugin(machine=ARM64).build())
    verdict = HostProcess(replace(go_host, machine="x86-64")).open(str(plugin))
    assert verdict.text.endswith("cannot open shared object file: No such file or directory")
    assert "arm64" in verdict.reason


PLUGIN = doctor_plugin().build()


@pytest.mark.fuzz("Go plugin files")
@settings(max_examples=150, deadline=None)
@given(st.data())
def test_a_plugin_with_absurd_contents_gives_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(PLUGIN)
    used = [at for at in range(0, len(PLUGIN) - 8, 4) if PLUGIN[at : at + 4] != bytes(4)]
    for _ in range(data.draw(st.integers(1, 3))):
        number = data.draw(st.sampled_from([0, 1, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF]))
        struct.pack_into("<I", content, data.draw(st.sampled_from(used)), number)
    file = tmp_path_factory.getbasetemp() / "absurd.so"
    file.write_bytes(content)
    program = replace(taken_for_go(), fingerprints=PACKAGES_OF_PLUGINS, build=build("1.25.5"))
    verdict = HostProcess(program).open(str(file))
    assert verdict.outcome in MEANINGS
    verdict.as_json()
