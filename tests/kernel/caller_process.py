"""The script of a caller: plays scenarios, each a known sequence of system calls.

One JSON command a line on stdin, `[SCENARIO, ARGUMENT...]`; the answer is the list of the calls
made, each `[NAME, RESULT]`, a failed one's result being the negative error. Every call is made
through `syscall(2)` by its number, so that nothing but the interpreter's own memory comes
between.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.syscall.restype = ctypes.c_long
AT_FDCWD = -100
WHERE = os.getcwd().encode()

NUMBERS = {
    "read": 0, "write": 1, "open": 2, "close": 3, "stat": 4, "fstat": 5, "lstat": 6, "poll": 7,
    "lseek": 8, "mmap": 9, "mprotect": 10, "munmap": 11, "rt_sigprocmask": 14, "ioctl": 16,
    "pread": 17, "pwrite": 18, "readv": 19, "writev": 20, "access": 21, "pipe": 22, "dup": 32,
    "dup2": 33, "nanosleep": 35, "getpid": 39, "socket": 41, "connect": 42, "sendto": 44,
    "recvfrom": 45, "sendmsg": 46, "recvmsg": 47, "shutdown": 48, "bind": 49, "listen": 50,
    "getsockname": 51, "getpeername": 52, "socketpair": 53, "setsockopt": 54, "getsockopt": 55,
    "accept4": 288, "clone": 56, "wait4": 61, "kill": 62, "fcntl": 72, "ftruncate": 77,
    "getcwd": 79, "chdir": 80, "rename": 82, "mkdir": 83, "rmdir": 84, "creat": 85, "link": 86,
    "unlink": 87, "symlink": 88, "readlink": 89, "chmod": 90, "fchmod": 91, "umask": 95,
    "getrlimit": 97, "getuid": 102, "getgid": 104, "getppid": 110, "getresuid": 118, "tkill": 200,
    "futex": 202, "epoll_wait": 232, "epoll_ctl": 233, "tgkill": 234, "openat": 257,
    "mkdirat": 258, "newfstatat": 262, "unlinkat": 263, "renameat": 264, "linkat": 265,
    "symlinkat": 266, "readlinkat": 267, "fchmodat": 268, "faccessat": 269, "ppoll": 271,
    "splice": 275, "timerfd_create": 283, "eventfd2": 290, "epoll_create1": 291, "dup3": 292,
    "pipe2": 293, "inotify_init1": 294, "preadv": 295, "pwritev": 296, "recvmmsg": 299,
    "prlimit": 302, "sendmmsg": 307, "renameat2": 316, "getrandom": 318, "memfd_create": 319,
    "execveat": 322, "copy_file_range": 326, "statx": 332, "pidfd_send_signal": 424,
    "pidfd_open": 434, "close_range": 436, "openat2": 437, "faccessat2": 439, "sendfile": 40,
    "clock_nanosleep": 230, "gettid": 186, "sched_yield": 24, "semget": 64, "semop": 65,
    "semctl": 66, "flock": 73, "uname": 63, "alarm": 37, "signalfd4": 289, "execve": 59,
}  # fmt: skip

Made = list[list[object]]


class Script:
    """Makes calls and remembers what came of them."""

    def __init__(self) -> None:
        self.made: Made = []

    def __call__(self, name: str, *arguments: object) -> int:
        """Make one call; bytes are passed by address, numbers as they are."""
        passed = [_passed(argument) for argument in arguments]
        result: int = _LIBC.syscall(ctypes.c_long(NUMBERS[name]), *passed)
        if result == -1:
            result = -ctypes.get_errno()
        self.made.append([name, result])
        return result


def _passed(argument: object) -> object:
    if isinstance(argument, int):
        return ctypes.c_long(argument)
    return argument


def _buffer(content: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(content, max(len(content), 1))


def _address(buffer: ctypes.Array[ctypes.c_char]) -> int:
    return ctypes.addressof(buffer)


def _sockaddr(port: int) -> bytes:
    return struct.pack("<H", 2) + port.to_bytes(2, "big") + bytes([127, 0, 0, 1]) + bytes(8)


def _port(address: ctypes.Array[ctypes.c_char]) -> int:
    return int.from_bytes(address.raw[2:4], "big")


def nothing() -> Made:
    """Only answer."""
    return []


def files(directory: str) -> Made:
    """Make, read, write, name and remove files; some of it fails."""
    call = Script()
    base = directory.encode()
    one, two = base + b"/one", base + b"/two"
    mode = 0o600
    fd = call("openat", AT_FDCWD, one, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    call("openat", AT_FDCWD, one, os.O_RDWR | os.O_CREAT | os.O_EXCL, mode)
    call("write", fd, b"hello\n", 6)
    call("pwrite", fd, b"HE", 2, 0)
    into = _buffer(bytes(64))
    call("read", fd, into, 64)
    call("lseek", fd, 0, os.SEEK_SET)
    call("read", fd, into, 64)
    call("pread", fd, into, 3, 2)
    first, second = _buffer(b"ab"), _buffer(b"cdef")
    vector = _buffer(struct.pack("<QQQQ", _address(first), 2, _address(second), 4))
    call("writev", fd, vector, 2)
    call("pwritev", fd, vector, 2, 100, 0)
    call("lseek", fd, 0, os.SEEK_SET)
    call("readv", fd, vector, 2)
    call("preadv", fd, vector, 2, 100, 0)
    call("fstat", fd, into_stat := _buffer(bytes(256)))
    call("ftruncate", fd, 3)
    call("fchmod", fd, 0o640)
    call("flock", fd, 2)
    call("fcntl", fd, 1)
    call("ioctl", fd, 0x5401, into_stat)
    call("close", fd)
    call("close", fd)
    call("read", fd, into, 1)
    call("write", 9_999, b"x", 1)
    call("open", one, os.O_RDONLY)
    call("close", fd)
    call("stat", one, into_stat)
    call("lstat", base + b"/none", into_stat)
    call("access", one, os.R_OK)
    call("faccessat", AT_FDCWD, base + b"/none", os.R_OK)
    call("faccessat2", AT_FDCWD, one, os.R_OK, 0x100)
    call("newfstatat", AT_FDCWD, one, into_stat, 0)
    call("statx", AT_FDCWD, one, 0, 0x7FF, into_stat)
    call("rename", one, two)
    call("renameat", AT_FDCWD, two, AT_FDCWD, one)
    call("renameat2", AT_FDCWD, one, AT_FDCWD, two, 1)
    call("rename", one, base + b"/three")
    call("link", two, one)
    call("linkat", AT_FDCWD, two, AT_FDCWD, base + b"/three", 0)
    call("symlink", b"two", base + b"/soft")
    call("symlinkat", b"three", AT_FDCWD, base + b"/soft2")
    call("readlink", base + b"/soft", into, 64)
    call("readlinkat", AT_FDCWD, base + b"/soft2", into, 64)
    call("chmod", two, 0o644)
    call("fchmodat", AT_FDCWD, two, 0o600)
    call("unlink", one)
    call("unlink", one)
    for name in (b"/two", b"/three", b"/soft", b"/soft2"):
        call("unlinkat", AT_FDCWD, base + name, 0)
    call("mkdir", base + b"/inner", 0o755)
    call("mkdir", base + b"/inner", 0o755)
    call("mkdirat", AT_FDCWD, base + b"/other", 0o700)
    call("rmdir", base + b"/inner")
    call("unlinkat", AT_FDCWD, base + b"/other", 0x200)
    call("creat", one, 0o600)
    call("close", fd)
    how = _buffer(struct.pack("<QQQ", os.O_RDONLY | os.O_CLOEXEC, 0, 0x04))
    call("openat2", AT_FDCWD, one, how, 24)
    call("close", fd)
    call("unlink", one)
    call("getcwd", into_stat, 256)
    call("chdir", base)
    call("chdir", b"/nowhere/at/all")
    call("chdir", WHERE)
    call("umask", call("umask", 0o077))
    call("memfd_create", b"memory", 1)
    call("close", fd)
    return call.made


def bulk(path: str) -> Made:
    """Write much in three vectors, and read it back at once."""
    call = Script()
    fd = call("openat", AT_FDCWD, path.encode(), os.O_RDWR | os.O_CREAT, 0o600)
    parts = [_buffer(letter * 2_000) for letter in (b"a", b"b", b"c")]
    vectors = _buffer(b"".join(struct.pack("<QQ", _address(part), 2_000) for part in parts))
    call("writev", fd, vectors, 3)
    call("lseek", fd, 0, os.SEEK_SET)
    call("read", fd, _buffer(bytes(10_000)), 10_000)
    call("close", fd)
    return call.made


def descriptors() -> Made:
    """Pipes, duplicates, and what waits on them."""
    call = Script()
    pair = _buffer(bytes(8))
    call("pipe", pair)
    reader, writer = struct.unpack("<ii", pair.raw)
    call("pipe2", pair, os.O_NONBLOCK | os.O_CLOEXEC)
    reader2, writer2 = struct.unpack("<ii", pair.raw)
    into = _buffer(bytes(64))
    call("read", reader2, into, 8)  # EAGAIN
    call("write", writer, b"ping", 4)
    polled = _buffer(struct.pack("<ihhihh", reader, 1, 0, reader2, 1, 0))
    call("poll", polled, 2, 0)
    call("ppoll", polled, 2, _buffer(struct.pack("<qq", 0, 5)), 0, 8)
    epoll = call("epoll_create1", os.O_CLOEXEC)
    call("epoll_ctl", epoll, 1, reader, _buffer(struct.pack("<IQ", 1, reader)))
    call("epoll_ctl", epoll, 1, reader, _buffer(struct.pack("<IQ", 1, reader)))  # EEXIST
    call("epoll_wait", epoll, _buffer(bytes(12 * 4)), 4, 0)
    call("splice", reader, 0, writer2, 0, 4, 0)
    call("read", reader2, into, 8)
    again = call("dup", reader)
    call("dup2", reader, again)
    call("dup3", reader, again, os.O_CLOEXEC)
    call("dup", 9_999)
    call("fcntl", reader, 0, 100)
    call("close", 100)
    call("eventfd2", 3, os.O_NONBLOCK)
    event = call.made[-1][1]
    assert isinstance(event, int)
    call("read", event, into, 8)
    call("read", event, into, 8)  # EAGAIN
    call("timerfd_create", 1, os.O_NONBLOCK)
    timer = call.made[-1][1]
    assert isinstance(timer, int)
    call("inotify_init1", os.O_CLOEXEC)
    watch = call.made[-1][1]
    assert isinstance(watch, int)
    call("signalfd4", -1, _buffer(struct.pack("<Q", 1 << (signal.SIGUSR1 - 1))), 8, 0)
    for fd in (reader, writer, reader2, writer2, epoll, again, event, timer, watch):
        call("close", fd)
    call("close_range", 50, 60, 0)
    return call.made


def sockets() -> Made:
    """A conversation with oneself over loopback, datagrams, and a refusal."""
    call = Script()
    address, length = _buffer(_sockaddr(0)), _buffer(struct.pack("<I", 16))
    listener = call("socket", 2, 1, 0)
    call("setsockopt", listener, 1, 2, _buffer(struct.pack("<i", 1)), 4)
    call("bind", listener, address, 16)
    call("listen", listener, 7)
    call("getsockname", listener, address, length)
    port = _port(address)
    client = call("socket", 2, 1 | 0o2000000, 6)
    call("connect", client, _buffer(_sockaddr(port)), 16)
    server = call("accept4", listener, 0, 0, 0o2000000)
    call("getpeername", server, address, length)
    call("sendto", client, b"GET / HTTP/1.1\r\n", 16, 0, 0, 0)
    into = _buffer(bytes(64))
    call("recvfrom", server, into, 64, 0, 0, 0)
    call("recvfrom", server, into, 64, 0x40, 0, 0)  # EAGAIN
    head, body = _buffer(b"200 "), _buffer(b"OK\n")
    vectors = _buffer(struct.pack("<QQQQ", _address(head), 4, _address(body), 3))
    message = _buffer(struct.pack("<QIIQQQQI4x", 0, 0, 0, _address(vectors), 2, 0, 0, 0))
    call("sendmsg", server, message, 0)
    call("recvmsg", client, message, 0)
    value = _buffer(bytes(4))
    call("getsockopt", client, 1, 4, value, _buffer(struct.pack("<I", 4)))
    call("shutdown", client, 1)
    call("read", server, into, 64)  # the end
    for fd in (server, client, listener):
        call("close", fd)
    refusing = call("socket", 2, 1, 0)
    call("connect", refusing, _buffer(_sockaddr(port)), 16)
    call("close", refusing)
    return call.made + _datagrams()


def _datagrams() -> Made:
    call = Script()
    address, length = _buffer(_sockaddr(0)), _buffer(struct.pack("<I", 16))
    one, two = call("socket", 2, 2, 0), call("socket", 2, 2, 0)
    call("bind", one, address, 16)
    call("getsockname", one, address, length)
    target = _sockaddr(_port(address))
    call("sendto", two, b"datagram", 8, 0, _buffer(target), 16)
    into, origin = _buffer(bytes(64)), _buffer(bytes(16))
    call("recvfrom", one, into, 64, 0, origin, _buffer(struct.pack("<I", 16)))
    parts = [_buffer(b"first"), _buffer(b"second")]
    vectors = [_buffer(struct.pack("<QQ", _address(part), len(part))) for part in parts]
    name = _buffer(target)
    many = _buffer(
        b"".join(
            struct.pack("<QIIQQQQIxxxxIxxxx", _address(name), 16, 0, _address(each), 1, 0, 0, 0, 0)
            for each in vectors
        )
    )
    call("sendmmsg", two, many, 2, 0)
    call("recvmmsg", one, many, 2, 0, 0)
    name = _buffer(target)  # the other now tells where the datagrams came from
    header = struct.pack("<QIIQQQQI4x", _address(name), 16, 0, _address(vectors[0]), 1, 0, 0, 0)
    named = _buffer(header)
    call("sendmsg", two, named, 0)
    call("recvmsg", one, named, 0x40)
    pair = _buffer(bytes(8))
    call("socketpair", 1, 1, 0, pair)
    for fd in (one, two, *struct.unpack("<ii", pair.raw)):
        call("close", fd)
    return call.made


def processes() -> Made:
    """Children that end with a status, signals, and identities."""
    call = Script()
    own = call("getpid")
    call("gettid")
    call("getppid")
    call("getuid")
    ids = [_buffer(bytes(4)) for _ in range(3)]
    call("getresuid", *ids)
    limits = _buffer(bytes(16))
    call("getrlimit", 7, limits)
    call("prlimit", 0, 7, 0, limits)
    call("kill", own, 0)
    call("kill", 0x3FFFFF, signal.SIGTERM)
    call("tgkill", own, own, 0)
    child = call("clone", signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(3)
    status = _buffer(bytes(4))
    call("wait4", child, status, 0, 0)
    call("wait4", child, status, 0, 0)  # ECHILD
    call("execve", b"/nowhere/at/all", _buffer(struct.pack("<QQ", _address(status), 0)), 0)
    call("nanosleep", _buffer(struct.pack("<qq", 0, 1_000)), 0)
    call("clock_nanosleep", 1, 0, _buffer(struct.pack("<qq", 0, 2_000)), 0)
    word = _buffer(struct.pack("<I", 7))
    call("futex", word, 0x80, 8, 0, 0, 0)  # EAGAIN: not the value expected
    call("futex", word, 0x81, 1, 0, 0, 0)
    call("sched_yield")
    call("alarm", 0)
    call("uname", _buffer(bytes(400)))
    semaphores = call("semget", 0, 1, 0o1600)
    call("semop", semaphores, _buffer(struct.pack("<Hhh", 0, 1, 0)), 1)
    call("semctl", semaphores, 0, 0, 0)
    fd = call("pidfd_open", own, 0)
    call("pidfd_send_signal", fd, 0, 0, 0)
    call("close", fd)
    return call.made


def memory() -> Made:
    """Mappings of lengths nobody else uses."""
    call = Script()
    for pages in (101, 102, 103):
        at = call("mmap", 0, pages * 4096, 3, 0x22, -1, 0)
        call("mprotect", at, pages * 4096, 1)
        call("munmap", at, pages * 4096)
    return call.made


def unreadable() -> Made:
    """Calls with addresses that are not mapped."""
    call = Script()
    call("openat", AT_FDCWD, 1, 0, 0)
    call("rename", b"/nowhere/at/all", 1)
    call("connect", 9_999, 1, 16)
    call("nanosleep", 1, 0)
    call("poll", 1, 3, 0)
    return call.made


def attempt(numbers: list[int]) -> list[int]:
    """Make each of these calls with arguments that none accepts, or that change nothing."""
    nothing_valid = [ctypes.c_long(-1)] * 6
    results = []
    for number in numbers:
        result = _LIBC.syscall(ctypes.c_long(number), *nothing_valid)
        results.append(-ctypes.get_errno() if result == -1 else result)
    return results


def execute(path: str, *arguments: str) -> Made:
    """Have a child become another program; returns its pid."""
    child = os.fork()
    if child == 0:
        os.execve(path, [path, *arguments], {"PATH": "/usr/bin"})
    os.waitpid(child, 0)
    return [["child", child]]


def main() -> None:
    """Play what is asked for until the tests' side goes away."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
