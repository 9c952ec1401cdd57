"""Workspaces: what somebody has subscribed, loaded and filtered, in a file to be opened again.

The file is TOML; docs/console.md shows one. It is read strictly: what it says that means nothing
is an error with its line. Paths in it are relative to the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    StrictBool,
    StrictFloat,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from engine.core.errors import BoxscopeError, UsageError
from engine.core.filters import Filter
from engine.core.sanitise import clean
from engine.core.toml_file import Place, line_of, nearest, parse_toml, read_text

VERSION = 1
"""The form this boxscope reads and writes."""

LISTS: Mapping[str, tuple[str, ...]] = {
    "plugins": ("plugin_state",),
    "plugin-records": ("plugin_record",),
    "ports": ("process",),
    "events": ("kernel_event",),
    "messages": ("l7_message",),
    "wasm-plugins": ("wasm_plugin",),
}
"""The lists of the panes that can be filtered, with the kinds of their records."""

PaneName = Literal["plugins", "ports", "events", "traffic"]
PANES: tuple[PaneName, ...] = ("plugins", "ports", "events", "traffic")
"""The panes in the order of their numbers."""

_FOLDER = "folder"


def _path(value: Path, info: ValidationInfo) -> Path:
    if value == Path() or "\0" in str(value):
        raise ValueError("a path is needed")
    try:
        own = value.expanduser()
    except RuntimeError as error:
        raise ValueError(str(error)) from error
    folder = (info.context or {}).get(_FOLDER)
    return own if folder is None else Path(folder, own)


def _subscriptions(texts: tuple[str, ...]) -> tuple[str, ...]:
    from engine.probe.patterns import parse

    for text in texts:
        _meaning(partial(parse, text))
    return texts


def _ports(text: str) -> str:
    from engine.discovery.ports import PortEnum

    _meaning(partial(PortEnum.parse, text))
    return text


def _exe(text: str) -> str:
    from engine.discovery.glob import Glob

    if text:
        _meaning(partial(Glob.parse, text))
    return text


def _list(name: str) -> str:
    if name not in LISTS:
        raise ValueError(f"there is no such list; lists are: {', '.join(LISTS)}")
    return name


def _filters(filters: dict[str, str]) -> dict[str, str]:
    for name, text in filters.items():
        try:
            Filter(text, LISTS[name])
        except UsageError as error:
            raise ValueError(f"{name}: {error}") from error
    return filters


def _meaning(read: Callable[[], object]) -> None:
    """Have a text understood by what reads it, so that it is refused in the same words."""
    try:
        read()
    except UsageError as error:
        raise ValueError(str(error)) from error


FilePath = Annotated[Path, AfterValidator(_path)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PluginPart(_Part):
    """A plugin process to start."""

    file: FilePath
    """Its executable."""
    name: StrictStr = ""
    """What to call it; the file's name without its suffix if left out."""
    detail: StrictStr = ""
    """Settings of its own, handed to it as `DETAIL`."""

    @property
    def called(self) -> str:
        """Its name, written or not."""
        return self.name or self.file.stem


class ModulePart(_Part):
    """An in-process module to load into a runner of its own, within the usual limits."""

    file: FilePath
    """A Go plugin, a C object or a Python module."""
    name: StrictStr = ""
    """What to call it; the file's name without its suffix if left out."""
    symbol: StrictStr = ""
    """What to look up in it."""
    interface: StrictStr = ""
    """Methods that is to have."""
    call: StrictStr = ""
    """A method to call first, or `()` for the symbol itself."""
    args: tuple[StrictStr | StrictInt | StrictFloat, ...] = ()
    """Arguments of that call."""
    prototypes: tuple[StrictStr, ...] = ()
    """Of C functions whose debugging information is gone."""
    anyway: StrictBool = False
    """Open a Go plugin even where that is known to end its runner."""

    @property
    def called(self) -> str:
        """Its name, written or not."""
        return self.name or self.file.name.partition(".")[0]


class Workspace(_Part):
    """What a workspace file says; everything but its version may be left out."""

    version: StrictInt
    """Of the file's form."""
    theme: StrictStr = ""
    """Colours of the console; empty for what the settings say."""
    zoom: PaneName | None = None
    """The pane shown alone; none for all."""
    ports: Annotated[StrictStr, AfterValidator(_ports)] | None = None
    """Ports processes are looked for by, such as `80,8000-8999`; empty for any, and none for what
    the settings say."""
    exe: Annotated[StrictStr, AfterValidator(_exe)] = ""
    """Glob on the executable of processes that are looked for; empty for any."""
    beyla_config: FilePath | None = None
    """A Beyla configuration that selects processes."""
    subscriptions: Annotated[tuple[StrictStr, ...], AfterValidator(_subscriptions)] = ()
    """Kernel events, each `NAME`, `NAME:CATEGORY` or `@PRESET`, with wildcards."""
    wasm: tuple[FilePath, ...] = ()
    """Wasm plugins, in the order of the chain."""
    filters: Annotated[
        dict[Annotated[StrictStr, AfterValidator(_list)], StrictStr], AfterValidator(_filters)
    ] = {}
    """Filters by list: `plugins`, `plugin-records`, `ports`, `events`, `messages`,
    `wasm-plugins`."""
    plugins: tuple[PluginPart, ...] = ()
    """Plugin processes to start."""
    modules: tuple[ModulePart, ...] = ()
    """Modules to load."""

    @model_validator(mode="before")
    @classmethod
    def _is_of_our_version(cls, values: object) -> object:
        version = values.get("version") if isinstance(values, dict) else None
        if type(version) is int and version != VERSION:
            raise ValueError(f"it has version {version}, and this boxscope reads version {VERSION}")
        return values

    def settings(self) -> dict[str, object]:
        """What it says that is a setting as well, by the setting's name."""
        said: dict[str, object] = {} if self.ports is None else {"open_port": self.ports}
        return said | ({"theme": self.theme} if self.theme else {})

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """The subscriptions as names and categories; an empty category means all."""
        if not self.subscriptions:
            return ()
        from engine.probe.patterns import parse

        return tuple(map(parse, self.subscriptions))


@dataclass(frozen=True)
class OpenedWorkspace:
    """A workspace and where it came from."""

    workspace: Workspace = field(default_factory=lambda: Workspace.model_construct(version=VERSION))
    path: Path | None = None
    """None where none was opened."""


def read_workspace(path: Path) -> OpenedWorkspace:
    """Read a workspace file.

    Raises:
        UsageError: it cannot be read, or something in it means nothing; the message has the line.
    """
    try:
        text = read_text(path)
    except OSError as error:
        raise UsageError(
            f"cannot read the workspace {clean(str(path))}: {error.strerror}",
            fix="save one from the console first, or check the path",
        ) from error
    found = parse_toml(text, path)
    try:
        folder = Path(path).absolute().parent
        workspace = Workspace.model_validate(found, context={_FOLDER: folder})
    except ValidationError as error:
        raise _explain(error, path, found, text) from error
    return OpenedWorkspace(workspace, path)


def _explain(error: ValidationError, path: Path, found: object, text: str) -> UsageError:
    first = error.errors()[0]
    place = nearest(found, first["loc"])
    line = line_of(text, place)
    where = clean(f"{path}, line {line}" if line else str(path))
    name = clean(".".join(map(str, place)))
    if first["type"] == "extra_forbidden":
        return UsageError(
            f"{where}: a workspace has no {name}", fix=f"it may have: {_known(place)}"
        )
    said = _lines(first["msg"].removeprefix("Value error, "))
    if first["type"] == "missing":
        said = f"{first['loc'][-1]} is missing"
    return UsageError(
        f"{where}: {name}{': ' if name else ''}{said}",
        fix="mend it, or save the workspace from the console again",
    )


def _known(place: Place) -> str:
    parts: Mapping[str, type[BaseModel]] = {"plugins": PluginPart, "modules": ModulePart}
    part = parts.get(str(place[0]), Workspace) if len(place) > 1 else Workspace
    return ", ".join(part.model_fields)


def _lines(text: str) -> str:
    return "\n".join(map(clean, text.splitlines()))


@dataclass(frozen=True)
class Loaded:
    """What is loaded into an engine, or was to be, as a workspace names it."""

    plugins: tuple[PluginPart, ...] = ()
    modules: tuple[ModulePart, ...] = ()
    wasm: tuple[Path, ...] = ()
    subscribed: frozenset[tuple[str, str]] = frozenset()
    """Events and categories that are on for the modules' sake alone."""

    def __bool__(self) -> bool:
        return bool(self.plugins or self.modules or self.wasm)


@dataclass(frozen=True)
class Restored:
    """What came of loading the parts of a workspace."""

    first: Loaded = field(default_factory=Loaded)
    """What the engine had before, which is not the workspace's."""
    refused: Loaded = field(default_factory=Loaded)
    """What could not be loaded."""
    errors: tuple[BoxscopeError, ...] = ()
    """Why not."""
