"""The screens of the console: the four panes, and what is shown over them.

What is shown over the panes is imported when it is first asked for, as `screens.HelpScreen`: the
imports of all of it would hold up the first paint.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tui.console.screens.call import CallScreen as CallScreen
    from tui.console.screens.chart import ChartScreen as ChartScreen
    from tui.console.screens.detail import DetailScreen as DetailScreen
    from tui.console.screens.detail import GapScreen as GapScreen
    from tui.console.screens.dialog import ConfirmDialog as ConfirmDialog
    from tui.console.screens.doctor import DoctorScreen as DoctorScreen
    from tui.console.screens.export import Exportable as Exportable
    from tui.console.screens.export import ExportDialog as ExportDialog
    from tui.console.screens.go_to import GoToDialog as GoToDialog
    from tui.console.screens.help import HelpScreen as HelpScreen
    from tui.console.screens.load import LoadDialog as LoadDialog
    from tui.console.screens.load_wasm import LoadWasmDialog as LoadWasmDialog
    from tui.console.screens.log import LogScreen as LogScreen
    from tui.console.screens.message import MessageScreen as MessageScreen
    from tui.console.screens.module import Call as Call
    from tui.console.screens.module import CallDialog as CallDialog
    from tui.console.screens.module import ModuleDialog as ModuleDialog
    from tui.console.screens.plugin import PluginScreen as PluginScreen
    from tui.console.screens.ports import PortsDialog as PortsDialog
    from tui.console.screens.presets import Choice as Choice
    from tui.console.screens.presets import PresetScreen as PresetScreen
    from tui.console.screens.process import ProcessScreen as ProcessScreen
    from tui.console.screens.record import RecordScreen as RecordScreen
    from tui.console.screens.recording import DumpDialog as DumpDialog
    from tui.console.screens.recording import RecordingDialog as RecordingDialog
    from tui.console.screens.rerun import RerunDialog as RerunDialog
    from tui.console.screens.seek import SeekDialog as SeekDialog
    from tui.console.screens.task import Task as Task
    from tui.console.screens.task import TaskDialog as TaskDialog
    from tui.console.screens.themes import ThemeScreen as ThemeScreen
    from tui.console.screens.verdict import VerdictDialog as VerdictDialog
    from tui.console.screens.wasm import WasmScreen as WasmScreen
    from tui.console.screens.why import WhyDialog as WhyDialog
    from tui.console.screens.why import WhyScreen as WhyScreen
    from tui.console.screens.workspace import WorkspaceDialog as WorkspaceDialog

_MODULES = {
    "Call": "module",
    "CallDialog": "module",
    "CallScreen": "call",
    "ChartScreen": "chart",
    "Choice": "presets",
    "ConfirmDialog": "dialog",
    "DetailScreen": "detail",
    "DoctorScreen": "doctor",
    "DumpDialog": "recording",
    "ExportDialog": "export",
    "Exportable": "export",
    "GapScreen": "detail",
    "GoToDialog": "go_to",
    "HelpScreen": "help",
    "LoadDialog": "load",
    "LoadWasmDialog": "load_wasm",
    "LogScreen": "log",
    "MessageScreen": "message",
    "ModuleDialog": "module",
    "PluginScreen": "plugin",
    "PortsDialog": "ports",
    "PresetScreen": "presets",
    "ProcessScreen": "process",
    "RecordScreen": "record",
    "RecordingDialog": "recording",
    "RerunDialog": "rerun",
    "SeekDialog": "seek",
    "Task": "task",
    "TaskDialog": "task",
    "ThemeScreen": "themes",
    "VerdictDialog": "verdict",
    "WasmScreen": "wasm",
    "WhyDialog": "why",
    "WhyScreen": "why",
    "WorkspaceDialog": "workspace",
}
"""Where each of them is."""
NAMES = tuple(_MODULES)
"""What can be had of this package by name."""


def __getattr__(name: str) -> Any:
    """One of these classes, its module imported."""
    module = _MODULES.get(name)
    if module is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{module}"), name)


def import_all() -> None:
    """Import every screen, so that none has to be waited for when it is asked for."""
    for module in sorted(set(_MODULES.values())):
        import_module(f"{__name__}.{module}")
