"""Subscriptions read from a file, in the forms Kindling's collector is configured with.

The present form, as in the collector's own YAML:

    receivers:
      cgoreceiver:
        subscribe:
          - name: syscall_exit-read
            category: net             # absent or empty = all
          - name: tracepoint-procexit
        process_filter:
          comms: [containerd, dockerd]

The older one has the list under `receivers.udsreceiver.zeromqreq.subscribe`; a file that has
nothing but `subscribe:` will do too. Names and categories may have wildcards, and a name may be
a preset. `params` is accepted and means nothing, as in Kindling.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

from engine.core.errors import UsageError
from engine.core.files import read_named
from engine.core.sanitise import clean
from engine.probe.filters import Filters
from engine.probe.patterns import cells_of

MAX_BYTES = 4 * 1024 * 1024
_FORMS = (
    ("receivers", "cgoreceiver", "subscribe"),
    ("receivers", "udsreceiver", "zeromqreq", "subscribe"),
    ("subscribe",),
)
_SUPPRESSED = (("receivers", "cgoreceiver", "process_filter", "comms"), ("process_filter", "comms"))
_ENTRY_KEYS = ("name", "category", "params")


class SubscriptionFile(NamedTuple):
    """What a file asks for."""

    subscriptions: tuple[tuple[str, str], ...]
    """Names and categories; an empty category means all."""
    suppressed_comms: tuple[str, ...]
    """Names of threads whose events are not wanted."""


def read_subscriptions(path: Path, *, faithful: bool = False) -> SubscriptionFile:
    """Read subscriptions from a YAML file.

    Args:
        path: The file.
        faithful: Take categories as Kindling does.

    Raises:
        UsageError: it cannot be read, or an entry means nothing; the message says which.
    """
    text = read_named(path, MAX_BYTES, fix="give the path of a YAML file")
    return parse_subscriptions(text, clean(str(path)), faithful=faithful)


def parse_subscriptions(text: bytes, source: str, *, faithful: bool = False) -> SubscriptionFile:
    """Read subscriptions from YAML.

    Args:
        text: The YAML.
        source: What errors call it; must be fit to be shown.
        faithful: Take categories as Kindling does.

    Raises:
        UsageError: it is not YAML, has no subscriptions, or an entry means nothing.
    """
    try:
        found: object = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise UsageError(f"{source} is not YAML: {_where(error)}") from error
    for form in _FORMS:
        entries = _at(found, form)
        if entries is not None:
            break
    else:
        raise UsageError(
            f"{source} has no subscriptions",
            fix=f"put them under {' or '.join(map(_path, _FORMS))}",
        )
    if not isinstance(entries, list):
        raise UsageError(f"{source}: {_path(form)} is no list")
    read = tuple(
        _entry(entry, f"{source}: {_path(form)}[{index}]", faithful=faithful)
        for index, entry in enumerate(entries)
    )
    return SubscriptionFile(read, _suppressed(found, source))


def _entry(entry: object, where: str, *, faithful: bool) -> tuple[str, str]:
    """Name and category of one entry of the list."""
    if not isinstance(entry, Mapping):
        raise UsageError(f"{where} is no mapping", fix="write `- name: NAME`")
    unknown = [key for key in entry if key not in _ENTRY_KEYS]
    if unknown:
        raise UsageError(
            f"{where} has an unknown key {clean(str(unknown[0]))!r}",
            fix=f"known: {', '.join(_ENTRY_KEYS)}",
        )
    name, category = entry.get("name"), entry.get("category")
    if not isinstance(name, str) or not name:
        raise UsageError(f"{where} has no name", fix="write `- name: NAME`")
    if category is not None and not isinstance(category, str):
        raise UsageError(f"{where} has a category that is no text")
    try:
        cells_of(name, category or "", faithful=faithful)
    except UsageError as wrong:
        raise UsageError(f"{where}: {wrong.message}", fix=wrong.fix) from wrong
    return name, category or ""


def _suppressed(found: object, source: str) -> tuple[str, ...]:
    for path in _SUPPRESSED:
        comms = _at(found, path)
        if comms is None:
            continue
        if not isinstance(comms, list) or not all(isinstance(comm, str) for comm in comms):
            raise UsageError(f"{source}: {_path(path)} is no list of names")
        for index, comm in enumerate(comms):
            try:
                Filters(excluded_comms=frozenset({comm})).check()
            except UsageError as wrong:
                where = f"{source}: {_path(path)}[{index}]"
                raise UsageError(f"{where}: {wrong.message}", fix=wrong.fix) from wrong
        return tuple(comms)
    return ()


def _at(found: object, path: tuple[str, ...]) -> object:
    """What lies at a path of keys; None if nothing does."""
    for key in path:
        if not isinstance(found, Mapping):
            return None
        found = found.get(key)
    return found


def _path(keys: tuple[str, ...]) -> str:
    return ".".join(keys)


def _where(error: Exception) -> str:
    """What a parser complains about, and in which line."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {clean(str(error.problem), 200)}"
    return clean(str(error), 200)
