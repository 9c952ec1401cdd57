"""The script of an actor that starts, signals and ends threads and processes."""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import select
import signal
import socket
import sys
import threading
import time

RENAME_THREAD = 15


def nothing() -> None:
    """Only answer."""


def end_thread() -> int:
    """Start a thread and let it end; returns its id."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
    thread.start()
    thread.join()
    return seen[0]


def leave(status: int) -> int:
    """Let a child end with a status; returns its pid."""
    child = os.fork()
    if child == 0:
        os._exit(status)
    os.waitpid(child, 0)
    return child


def leave_with_threads(status: int) -> int:
    """Let a child of two threads end with a status while the other one waits."""
    child = os.fork()
    if child == 0:
        threading.Thread(target=signal.pause, daemon=True).start()
        os._exit(status)
    os.waitpid(child, 0)
    return child


def crash() -> int:
    """Let a child read from nowhere; returns its pid."""
    child = os.fork()
    if child == 0:
        ctypes.string_at(0)
    os.waitpid(child, 0)
    return child


def end_child(number: int) -> int:
    """Start a child that waits, and send it a signal it dies of; returns its pid."""
    ready, tell = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(tell, b"x")
        while True:
            signal.pause()
    os.read(ready, 1)
    os.close(ready)
    os.close(tell)
    os.kill(child, number)
    os.waitpid(child, 0)
    return child


def catch(number: int) -> None:
    """Have a handler for a signal."""
    signal.signal(number, lambda *_: None)


def catch_alarm() -> None:
    """Have the kernel send an alarm, and wait for it."""
    ready, tell = os.pipe()
    os.set_blocking(tell, False)
    before = signal.set_wakeup_fd(tell)
    signal.signal(signal.SIGALRM, lambda *_: None)
    signal.setitimer(signal.ITIMER_REAL, 0.001)
    os.read(ready, 1)
    signal.set_wakeup_fd(before)
    os.close(ready)
    os.close(tell)


def send_signal(pid: int, number: int) -> None:
    """Signal a process."""
    os.kill(pid, number)


def run(*command: str) -> int:
    """Run a program; returns its pid."""
    child = os.fork()
    if child == 0:
        os.execv(command[0], command)
    os.waitpid(child, 0)
    return child


def rename(name: str) -> None:
    """Give this thread another name."""
    ctypes.CDLL(None).prctl(RENAME_THREAD, name.encode(), 0, 0, 0)


def touch_pages(count: int) -> int:
    """Write to so many pages for the first time; returns the address of the first."""
    memory = mmap.mmap(-1, count * mmap.PAGESIZE)
    # In huge pages there would be fewer faults than pages.
    with contextlib.suppress(OSError):
        memory.madvise(mmap.MADV_NOHUGEPAGE)
    first = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    for page in range(count):
        memory[page * mmap.PAGESIZE] = 1
    return first


def sleep(times: int, seconds: float) -> None:
    """Sleep so often, in select."""
    for _ in range(times):
        select.select([], [], [], seconds)


def wait_in_turn() -> int:
    """Let a thread wait for a lock that this one gives free; returns its id."""
    seen: list[int] = []
    lock = threading.Lock()
    lock.acquire()

    def wait() -> None:
        seen.append(threading.get_native_id())
        with lock:
            pass

    thread = threading.Thread(target=wait)
    thread.start()
    _until_waiting(seen)
    lock.release()
    thread.join()
    return seen[0]


def _until_waiting(seen: list[int]) -> None:
    """Until the thread sits in the kernel's futex call, number 202."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if seen:
            with contextlib.suppress(OSError), open(f"/proc/self/task/{seen[0]}/syscall") as call:
                if call.read().startswith("202 "):
                    return
        select.select([], [], [], 0.001)
    raise TimeoutError


def send_datagrams(count: int) -> list[int]:
    """Send so many datagrams of 100 bytes over loopback; returns both ports."""
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender,
    ):
        receiver.bind(("127.0.0.1", 0))
        sender.bind(("127.0.0.1", 0))
        for _ in range(count):
            sender.sendto(b"x" * 100, receiver.getsockname())
            receiver.recv(200)
        return [sender.getsockname()[1], receiver.getsockname()[1]]


def exhaust(group: str) -> int:
    """Let a child that may have little memory ask for much; returns its pid."""
    child = os.fork()
    if child == 0:
        with open(f"{group}/cgroup.procs", "w") as members:
            members.write(str(os.getpid()))
        memory = mmap.mmap(-1, 64 << 20)
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1
        os._exit(0)
    os.waitpid(child, 0)
    return child


def main() -> None:
    """Obey until the tests' side goes away."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
