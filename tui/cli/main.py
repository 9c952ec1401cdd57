"""Entry point of the `boxscope` command: the verbs, each imported only when it is used."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import click

from engine import __version__
from engine.core.errors import BoxscopeError
from tui.cli.diagnostics import leave_quietly, prepare_streams, report, report_refused
from tui.cli.workspace import workspace_option
from tui.collector import collect_rarely

VERBS = {
    "console": ("tui.cli.console", "The console on this box (the default)."),
    "demo": ("tui.cli.demo", "The console, or a stream, with everything alive."),
    "doctor": ("tui.cli.doctor", "Each need: found or missing, and the command that fixes it."),
    "plugins": ("tui.cli.plugins", "Run plugin processes."),
    "modules": ("tui.cli.modules", "Judge in-process modules, and run them."),
    "events": ("tui.cli.events", "Stream kernel events."),
    "discover": ("tui.cli.discover", "List processes by port."),
    "traffic": ("tui.cli.traffic", "Requests and responses of processes, or of a capture."),
    "wasm": ("tui.cli.wasm", "Run DeepFlow Wasm plugins on a capture."),
    "engine": ("tui.cli.engine", "The engine without a screen, for consoles to attach to."),
    "attach": ("tui.cli.attach", "The console, or a stream, on an engine that runs."),
    "record": ("tui.cli.record", "Record everything into a file."),
    "replay": ("tui.cli.replay", "Play a recording in the console, or as a stream."),
    "query": ("tui.cli.query", "Ask a recording questions in SQL."),
    "config": ("tui.cli.config", "Print the settings in force and where each came from."),
}
"""Verb -> (module that defines a click command named `command`, one-line help)."""


class LazyGroup(click.Group):
    """A group that imports a verb's module when the verb is run."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """All verbs, in the order of VERBS."""
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return one verb."""
        if cmd_name not in VERBS:
            return None
        module = importlib.import_module(VERBS[cmd_name][0])
        command: click.Command = module.command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take options that are not the group's own, and those before them, for the console's."""
        own = {name: each for each in self.get_params(ctx) for name in each.opts}
        rest = args
        while rest and rest[0].startswith("-"):
            name, assigned, _value = rest[0].partition("=")
            if name not in own:
                args = ["console", *args]
                break
            if isinstance(known := own[name], click.Option) and known.is_flag:
                break
            rest = rest[1 if assigned else 2 :]
        return super().parse_args(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the verbs without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(verb, help_) for verb, (_, help_) in VERBS.items()])


@click.group(
    cls=LazyGroup,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(__version__, prog_name="boxscope")
@workspace_option
@click.pass_context
def boxscope(ctx: click.Context, workspace: Path | None) -> None:
    """A terminal console for debugging one Linux box.

    Plugin processes and their pipe throughput, processes by port, subscribed kernel
    events, and what Wasm parsers make of the traffic. Without a command: the console.
    """
    if ctx.invoked_subcommand is None:
        console = boxscope.get_command(ctx, "console")
        if console is not None:
            ctx.exit(ctx.invoke(console, workspace=workspace))
    elif workspace is not None:
        raise click.UsageError(
            f"--workspace stands behind the command, if at all:"
            f" boxscope {ctx.invoked_subcommand} --workspace {workspace}"
        )


def run() -> None:
    """Run the command and exit with its code."""
    collect_rarely()
    prepare_streams()
    sys.exit(main(sys.argv[1:]))


def main(arguments: list[str]) -> int:
    """Run the command on these arguments; returns the exit code."""
    try:
        code = _run(arguments)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        leave_quietly()
        return 0
    except OSError as refused:
        return report_refused(refused)


def _run(arguments: list[str]) -> int:
    stdout = sys.stdout
    try:
        code = boxscope.main(arguments, prog_name="boxscope", standalone_mode=False)
    except click.exceptions.Exit as leave:
        return leave.exit_code
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    except BoxscopeError as error:
        return report(error)
    except SystemExit:
        if sys.stdout is stdout:
            raise
        # click puts another one there, and leaves with 1, when nobody reads it any more.
        leave_quietly()
        return 0
    return code if isinstance(code, int) else 0
