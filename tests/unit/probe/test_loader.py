"""What is told when the compiling child does not deliver; none of this needs BCC."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.errors import BoxscopeError, ProbeError, RequirementError
from engine.probe import compile_child
from engine.probe.loader import Loader, compiler_flags
from engine.probe.program_cache import ProgramCache


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A script that runs in the compiler's place."""
    script = tmp_path / "child.py"
    monkeypatch.setattr(compile_child, "__file__", str(script))
    return script


def answering(text: str, printed: str = "") -> str:
    return f"import os, sys\nprint({printed!r})\nos.write(int(sys.argv[1]), {text!r}.encode())\n"


def new_loader() -> Loader:
    return Loader({}, cache=ProgramCache(None))


def failure(script: Path, text: str) -> BoxscopeError:
    script.write_text(text)
    with pytest.raises(BoxscopeError) as failed:
        new_loader().run()
    return failed.value


def test_a_child_that_dies_is_told_with_its_last_words(child: Path) -> None:
    error = failure(child, "import sys\nsys.exit('some last words')\n")
    assert isinstance(error, ProbeError)
    assert error.message == "the compiler ended without an answer: some last words"


def test_a_child_that_says_nothing_is_told(child: Path) -> None:
    assert "it printed nothing" in failure(child, "").message


def test_an_answer_that_is_no_json_is_refused(child: Path) -> None:
    assert "without an answer" in failure(child, answering("not json")).message


def test_missing_bcc_is_a_missing_requirement(child: Path) -> None:
    error = failure(child, answering('{"error": "the distribution\'s BCC is not installed"}'))
    assert isinstance(error, RequirementError)
    assert error.fix == "apt-get install -y python3-bpfcc"


def test_a_refusal_by_the_kernel_is_a_missing_right(child: Path) -> None:
    printed = "could not open bpf map: ring, error: Operation not permitted"
    error = failure(child, answering('{"error": "Failed to compile BPF module <text>"}', printed))
    assert isinstance(error, RequirementError)
    assert "CAP_BPF" in error.fix


def test_a_compile_error_is_told_by_its_first_line(child: Path) -> None:
    printed = "note: nothing\n/virtual/main.c:3:1: error: no such thing\n1 error generated.\n"
    error = failure(child, answering('{"error": "Failed to compile BPF module <text>"}', printed))
    assert isinstance(error, ProbeError)
    assert error.message.endswith("/virtual/main.c:3:1: error: no such thing")


@pytest.mark.parametrize(
    ("reason", "printed"),
    [
        ("Failed to compile", "could not open bpf map: senders, error: Too many open files"),
        ("libbcc.so.0: cannot open shared object file: Too many open files in system", ""),
    ],
)
def test_too_few_open_files_for_the_compiler_are_told_with_the_limit(
    child: Path, reason: str, printed: str
) -> None:
    error = failure(child, answering(f'{{"error": "{reason}"}}', printed))
    assert isinstance(error, ProbeError)
    assert "ulimit -n" in error.fix


def test_an_answer_that_is_not_what_was_asked_for_is_refused(child: Path) -> None:
    error = failure(child, answering('{"maps": [["ring"]], "programs": {}}'))
    assert isinstance(error, ProbeError)
    assert error.message.startswith("the compiler's answer is of no use")


def test_what_a_child_prints_is_sanitised(child: Path) -> None:
    error = failure(child, "import sys\nsys.exit('\\x1b[31mred')\n")
    assert "\x1b" not in error.message


def test_a_missing_system_python_is_told(
    child: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compile_child, "SYSTEM_PYTHON", str(tmp_path / "python3"))
    error = failure(child, "")
    assert isinstance(error, RequirementError)
    assert "No such file" in error.message


def test_a_cancelled_compilation_starts_no_child(child: Path) -> None:
    child.write_text("")
    loader = new_loader()
    loader.cancel()
    with pytest.raises(ProbeError, match="cancelled"):
        loader.run()


def test_flags_carry_the_release_and_the_definitions() -> None:
    flags = compiler_flags({"O_TASK_FILES": 1824})
    assert "-DO_TASK_FILES=1824" in flags
    assert any(flag.startswith("-DSTUB_VERSION_CODE=") for flag in flags)
    assert any(flag.startswith("-DSTUB_PAGE_SIZE=") for flag in flags)
