"""The pieces of a run: whole records, last words, prototypes, the spec on a command line."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.modules.runner.crash import describe, first_frame
from engine.modules.runner.protocol import Limits, RunSpec, Signature, parse_spec
from engine.modules.runner.prototypes import parse_prototype
from engine.modules.runner.records import LONGEST, Garbage, RecordSplitter


def frame(body: bytes) -> bytes:
    return struct.pack("<I", len(body)) + body


@pytest.mark.fuzz("frame walk")
@given(bodies=st.lists(st.binary(max_size=300)), cut=st.integers(min_value=1, max_value=50))
def test_records_come_out_whole_however_they_are_cut(bodies: list[bytes], cut: int) -> None:
    stream, splitter = b"".join(map(frame, bodies)), RecordSplitter()
    sizes = {0}
    for end in map(len, map(frame, bodies)):
        sizes.add(max(sizes) + end)
    taken = b""
    for begin in range(0, len(stream), cut):
        taken += splitter.take(stream[begin : begin + cut])
        assert len(taken) in sizes
    assert taken == stream
    assert splitter.rest() == b""


def test_what_was_not_finished_is_kept_for_the_end() -> None:
    splitter = RecordSplitter()
    assert splitter.take(frame(b"whole") + b"\x09\0\0\0half") == frame(b"whole")
    assert splitter.rest() == b"\x09\0\0\0half"


def test_a_length_that_no_record_has_is_garbage_with_all_that_follows() -> None:
    bad = struct.pack("<I", LONGEST + 1) + b"more"
    with pytest.raises(Garbage) as raised:
        RecordSplitter().take(frame(b"good") + bad)
    assert (raised.value.before, raised.value.rest) == (frame(b"good"), bad)
    assert raised.value.length == LONGEST + 1


GO_PANIC = """\
some output before
panic: no license

goroutine 17 [running, locked to thread]:
example.com/lib.Fail(...)
\t/src/lib/fail.go:3
example.com/ill.boom(0xc000, {0x1, 0x2})
\t/src/ill/main.go:5 +0x18
runtime.main()
\t/usr/lib/go/src/runtime/proc.go:250
"""


def test_the_last_words_of_a_go_program_are_the_reason(tmp_path: Path) -> None:
    said = tmp_path / "stderr"
    said.write_text(GO_PANIC)
    descriptor = os.open(said, os.O_RDONLY)
    try:
        found = describe(2, descriptor, 0, "example.com/ill")
        assert found == ("panicked", "panic: no license (exit code 2)",
                         "example.com/ill.boom at main.go:5")  # fmt: skip
        assert describe(2, descriptor, 0).frame == "example.com/lib.Fail at fail.go:3"
        assert describe(3, descriptor, len(GO_PANIC)) == ("exited", "exit code 3", "")
        assert describe(-11, descriptor, len(GO_PANIC)) == ("panicked", "SIGSEGV", "")
    finally:
        os.close(descriptor)


def test_a_stack_of_the_run_time_alone_names_nobody() -> None:
    assert first_frame(["runtime.throw(...)", "\t/go/src/runtime/panic.go:1", "main"]) == ""


@pytest.mark.parametrize(
    ("text", "name", "signature"),
    [
        ("int Add(int, int)", "Add", Signature("int", ("int", "int"))),
        ("int Add(int a, int b);", "Add", Signature("int", ("int", "int"))),
        ("extern char* Tell(void);", "Tell", Signature("char *", ())),
        ("const char *Tell(const char *x)", "Tell", Signature("const char *", ("const char *",))),
        ("unsigned long long Big(unsigned int)", "Big",
         Signature("unsigned long long", ("unsigned int",))),
        ("void Stop()", "Stop", Signature("void", ())),
    ],
)  # fmt: skip
def test_a_prototype_is_read_as_c_reads_it(text: str, name: str, signature: Signature) -> None:
    assert parse_prototype(text) == (name, signature)


@pytest.mark.parametrize("text", ["", "Add", "int Add", "int Add(int", "int (*f)(int)"])
def test_what_is_no_prototype_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a C prototype"):
        parse_prototype(text)


def test_a_spec_survives_the_command_line() -> None:
    spec = RunSpec(
        "one", "/a b/ü.py", "python", ("/bin/true", "-x"), symbol="S", args=(1, "two", 3.5),
        methods=(("HealthCheck", 0), ("Any", None)), limits=Limits(open_s=0.5),
    )  # fmt: skip
    assert parse_spec(spec.as_text()) == spec
