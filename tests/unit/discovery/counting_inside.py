"""Prints how many listening sockets `ss` lists here, and how many a scan sees."""

from __future__ import annotations

import socket
import subprocess
import sys

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.discovery.watcher import PortWatcher


def main() -> None:
    """Open some of every sort, and count; one is opened twice, by SO_REUSEPORT."""
    inet, inet6 = socket.AF_INET, socket.AF_INET6
    opened = [socket.create_server(("", 0), family=each) for each in (inet, inet6)]
    opened += [socket.socket(each, socket.SOCK_DGRAM) for each in (inet, inet6)]
    for datagrams in opened[2:]:
        datagrams.bind(("", 0))
    opened.append(socket.create_server(("", 0), reuse_port=True))
    opened.append(socket.create_server(opened[-1].getsockname()[:2], reuse_port=True))
    clock = SystemClock()
    watcher = PortWatcher(clock, Logbook(clock))
    watcher.scan_once()
    theirs = subprocess.check_output(["ss", "-Hlntu"]).splitlines()
    sys.stdout.write(f"{len(theirs)} {watcher.status().counters.seen}\n")


if __name__ == "__main__":
    main()
