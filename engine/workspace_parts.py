"""A workspace and an engine: loading what it names, and telling what there is to be saved."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from engine.core.errors import BoxscopeError, FailedError
from engine.core.records import Record
from engine.engine import Engine
from engine.workspace import Loaded, ModulePart, PluginPart, Restored, Workspace

if TYPE_CHECKING:
    from engine.agent.plugin import Plugin
    from engine.modules.runner.protocol import Wanted

T = TypeVar("T")
Cells = frozenset[tuple[str, str]]


def load_parts(engine: Engine, workspace: Workspace) -> Restored:
    """Load plugins, modules and Wasm plugins; what is refused does not hold up the others."""
    wanted = Loaded(workspace.plugins, workspace.modules, workspace.wasm)
    if engine.playhead is not None:
        error = FailedError(
            "a recording has nothing to load plugins into: those of the workspace are left out",
            fix="open the workspace without replay",
        )
        return Restored(refused=wanted, errors=(error,) if wanted else ())
    if engine.is_shared:
        left_out = FailedError(
            "what the workspace loads and subscribes is left out: the engine has its own",
            fix="boxscope engine --workspace FILE begins with it",
        )
        acts = bool(wanted or workspace.subscriptions or workspace.ports is not None)
        return Restored(engine.loaded(), wanted, (left_out,) if acts else ())
    first = engine.loaded()
    errors: list[BoxscopeError] = []

    def attempt(load: Callable[[], object]) -> bool:
        try:
            load()
        except BoxscopeError as error:
            errors.append(error)
            return False
        return True

    plugins = tuple(
        part
        for part in workspace.plugins
        if not attempt(partial(engine.load_plugin, part.file, name=part.name, detail=part.detail))
    )
    modules = tuple(
        part for part in workspace.modules if not attempt(partial(_load_module, engine, part))
    )
    wasm = tuple(path for path in workspace.wasm if not attempt(partial(engine.load_wasm, path)))
    return Restored(first, Loaded(plugins, modules, wasm), tuple(errors))


def _load_module(engine: Engine, part: ModulePart) -> None:
    from engine.modules.runner.protocol import Wanted

    wanted = Wanted(
        part.file,
        symbol=part.symbol,
        interface=part.interface,
        call=part.call,
        args=part.args,
        prototypes=part.prototypes,
        anyway=part.anyway,
    )
    engine.load_module(wanted, name=part.name)


def plugin_part(plugin: Plugin) -> PluginPart:
    """A plugin that runs, as a workspace names it."""
    return PluginPart(file=plugin.executable, name=plugin.name, detail=plugin.detail)


def module_part(name: str, wanted: Wanted) -> ModulePart:
    """A module that was loaded, as a workspace names it."""
    return ModulePart(
        file=wanted.file.absolute(),
        name=name,
        symbol=wanted.symbol,
        interface=wanted.interface,
        call=wanted.call,
        args=wanted.args,
        prototypes=wanted.prototypes,
        anyway=wanted.anyway,
    )


def with_engine_state(
    workspace: Workspace, engine: Engine, restored: Restored, *, ports: str | None
) -> Workspace:
    """The workspace with what the engine has subscribed and loaded now.

    Args:
        workspace: The one that was opened; what did not change stays as it is written there.
        engine: The engine.
        restored: What came of loading its parts; what was refused is kept.
        ports: The ports in force; None for what the settings say.
    """
    if engine.playhead is not None:
        return workspace
    loaded, first, refused = engine.loaded(), restored.first, restored.refused
    changes = {
        "ports": ports,
        "subscriptions": subscriptions_of(engine, workspace),
        "plugins": _merged(loaded.plugins, first.plugins, refused.plugins, workspace.plugins),
        "modules": _merged(loaded.modules, first.modules, refused.modules, workspace.modules),
        "wasm": _merged(loaded.wasm, first.wasm, refused.wasm, workspace.wasm),
    }
    return workspace.model_copy(update=changes)


def _merged(
    loaded: Sequence[T], first: Sequence[T], refused: Sequence[T], written: Sequence[T]
) -> tuple[T, ...]:
    """All that are not the engine's own, as they are written; those that are not yet follow."""
    there = {_named(part): part for part in (*loaded, *refused)}
    kept = {_named(part): part for part in written if _named(part) in there}
    known = kept.keys() | set(map(_named, first))
    return (*kept.values(), *(part for name, part in there.items() if name not in known))


def _named(part: object) -> object:
    """The same part with its name, which may be left out where it is written."""
    if isinstance(part, (PluginPart, ModulePart)):
        return part.model_copy(update={"name": part.called})
    return part


def subscriptions_of(engine: Engine, workspace: Workspace) -> tuple[str, ...]:
    """What is subscribed: as the workspace has written it, if that is what it means."""
    snapshot = engine.snapshot()
    rows = snapshot.tables.get("subscription", ())
    status = snapshot.sources.get("probe")
    if not rows or status is None or status.state == "failed":
        return workspace.subscriptions
    here = frozenset(_cell(row) for row in rows if not row.get("unavailable"))
    on = frozenset(_cell(row) for row in rows if row.get("on"))
    chosen, meant = on - engine.loaded().subscribed, _meant(workspace)
    if chosen <= meant and meant & here <= on:
        return workspace.subscriptions
    return tuple(_written(_by_event(rows), chosen))


def _meant(workspace: Workspace) -> Cells:
    from engine.probe.patterns import cells_of_all

    return frozenset(
        (cell.event.name, cell.category.label) for cell in cells_of_all(workspace.pairs())
    )


def _by_event(rows: Collection[Record]) -> Mapping[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in rows:
        event, category = _cell(row)
        found.setdefault(event, []).append(category)
    return found


def _written(categories_of: Mapping[str, list[str]], on: Cells) -> Iterator[str]:
    """An event with all of its categories by its name alone."""
    for event, categories in categories_of.items():
        wanted = [category for category in categories if (event, category) in on]
        if len(wanted) == len(categories):
            yield event
        else:
            yield from (f"{event}:{category}" for category in wanted)


def _cell(row: Record) -> tuple[str, str]:
    return (str(row.get("event")), str(row.get("category")))
