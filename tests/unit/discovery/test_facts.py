"""What is read about a process."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys

import pytest

from engine.core.errors import ProcessGone
from engine.core.identity import own_identity
from engine.discovery.facts import read_exe, read_facts, user_name
from engine.discovery.language import Languages


def test_facts_of_this_process() -> None:
    facts = read_facts(os.getpid(), Languages())
    assert facts.identity == own_identity()
    assert facts.ppid == os.getppid()
    assert facts.exe == os.path.realpath(sys.executable)
    assert facts.argv[-1] == sys.orig_argv[-1]
    assert len(facts.argv) == len(sys.orig_argv)
    assert facts.user == pwd.getpwuid(os.geteuid()).pw_name
    assert facts.language is not None
    assert facts.language.name == "python"


def test_arguments_keep_blanks_and_emptiness() -> None:
    command = [sys.executable, "-c", "print(flush=True); input()", "", "two words", ""]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            assert read_facts(child.pid, Languages()).argv == tuple(command)
        finally:
            child.kill()


def test_a_process_that_has_ended_is_gone() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    with pytest.raises(ProcessGone):
        read_facts(child.pid, Languages())
    assert read_exe(child.pid) is None


def test_a_user_without_a_name_is_a_number() -> None:
    assert user_name(4_000_000_001) == "4000000001"
