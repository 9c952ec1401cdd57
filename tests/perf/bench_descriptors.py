"""What it costs a call that its event tells what its descriptor is: path, addresses or inode.

    .venv/bin/python -m tests.perf.bench_descriptors

Needs root, BCC, a C compiler and two processors. Each case is a loop of one call, alone and with
its exit subscribed; the least of several rounds counts. Compare the figures with each other, not
with another machine's.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.probe.probe import KernelProbe
from tests.perf.rows import Row

CALLS = 50_000
ROUNDS = 25
ENGINE_CPU, CALLER_CPU = 0, 1

CASES = {
    "b": ("close of no descriptor", "close"),
    "z": ("1 byte of /dev/zero", "read"),
    "d": ("1 byte four directories down", "read"),
    "p": ("1 byte of a pipe", "read"),
    "t": ("1 byte of a TCP socket", "read"),
    "c": ("dup and close of /dev/zero", "close"),
}

CALLER = r"""
#define _GNU_SOURCE
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static long long now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static int connected(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(0x7f000001) };
	socklen_t length = sizeof(at);
	int listener = socket(AF_INET, SOCK_STREAM, 0), client = socket(AF_INET, SOCK_STREAM, 0);

	bind(listener, (void *)&at, sizeof(at));
	listen(listener, 1);
	getsockname(listener, (void *)&at, &length);
	connect(client, (void *)&at, length);
	return accept4(listener, 0, 0, SOCK_NONBLOCK);
}

/* Each line "CASE CALLS" on stdin: that many calls; the answer is the ns they took. */
int main(int argc, char **argv)
{
	int zero = open("/dev/zero", O_RDONLY), deep = open(argv[2], O_RDONLY);
	int socket = connected(), ends[2];
	cpu_set_t cpus;
	char what, byte;
	long calls;

	CPU_ZERO(&cpus);
	CPU_SET(atoi(argv[1]), &cpus);
	sched_setaffinity(0, sizeof(cpus), &cpus);
	pipe2(ends, O_NONBLOCK);
	while (scanf(" %c %ld", &what, &calls) == 2) {
		long long began = now();

		for (long done = 0; done < calls; done++)
			switch (what) {
			case 'b': syscall(SYS_close, -1); break;
			case 'z': read(zero, &byte, 1); break;
			case 'd': read(deep, &byte, 1); break;
			case 'p': read(ends[0], &byte, 1); break;
			case 't': read(socket, &byte, 1); break;
			case 'c': close(dup(zero)); break;
			}
		printf("%lld\n", now() - began);
		fflush(stdout);
	}
	return 0;
}
"""


class Caller:
    """A process that loops over a call when told."""

    def __init__(self, folder: Path) -> None:
        source, program = folder / "caller.c", folder / "caller"
        deep = folder / "a" / "b" / "file"
        deep.parent.mkdir(parents=True)
        deep.touch()
        source.write_text(CALLER)
        subprocess.run(["cc", "-O2", "-w", "-o", program, source], check=True)
        self._child = subprocess.Popen(
            [program, str(CALLER_CPU), str(deep)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._child.pid

    def call(self, case: str) -> float:
        """Nanoseconds a call."""
        assert self._child.stdin is not None
        assert self._child.stdout is not None
        self._child.stdin.write(f"{case} {CALLS}\n")
        self._child.stdin.flush()
        return int(self._child.stdout.readline()) / CALLS

    def close(self) -> None:
        """End it."""
        self._child.communicate()


def main() -> None:
    """Print the price of each case."""
    measure()


def measure() -> list[Row]:
    """Print the price of each case; the ways to be measured take turns."""
    added: dict[str, float] = {}
    os.sched_setaffinity(0, {ENGINE_CPU})
    with tempfile.TemporaryDirectory() as folder, ExitStack() as running:
        caller = Caller(Path(folder))
        running.callback(caller.close)
        without, describing = (
            running.enter_context(_running(caller, describe_fds)) for describe_fds in (False, True)
        )
        for case, (title, call) in CASES.items():
            alone, bare, told = (
                min(each)
                for each in zip(
                    *(
                        (
                            caller.call(case),
                            _subscribed(without, call, caller, case),
                            _subscribed(describing, call, caller, case),
                        )
                        for _ in range(ROUNDS)
                    ),
                    strict=True,
                )
            )
            sys.stdout.write(
                f"{title:30} {alone:5.0f} ns alone, {bare:5.0f} subscribed, "
                f"{told:5.0f} described: {told - bare:+5.0f} ns\n"
            )
            added[title] = told - bare
    shown = ", ".join(f"{title} {ns:+.0f} ns" for title, ns in added.items())
    return [Row("telling what a descriptor is", "", shown)]


@contextmanager
def _running(caller: Caller, describe_fds: bool) -> Iterator[KernelProbe]:
    clock = SystemClock()
    probe = KernelProbe(clock, Logbook(clock), describe_fds=describe_fds)
    probe.set_pids(frozenset({caller.pid}))
    probe.start()
    try:
        if not probe.wait_ready(60.0):
            raise SystemExit(probe.status().reason)
        yield probe
    finally:
        probe.stop()


def _subscribed(probe: KernelProbe, call: str, caller: Caller, case: str) -> float:
    """Nanoseconds a call while its exit is delivered."""
    probe.subscribe(f"syscall_exit-{call}")
    try:
        return caller.call(case)
    finally:
        probe.unsubscribe(f"syscall_exit-{call}")


if __name__ == "__main__":
    main()
