"""`boxscope config`: print the settings in force, and what keys and themes can be set."""

from __future__ import annotations

import click

from engine.core.settings import LoadedSettings, config_path, load_settings
from tui.cli.options import json_option
from tui.cli.output import JsonOutput, write_lines, write_table


@click.group("config", invoke_without_command=True)
@json_option
@click.pass_context
def command(ctx: click.Context, as_json: bool) -> int:
    """Print every setting, its value and where the value came from."""
    if ctx.invoked_subcommand is not None:
        return 0
    loaded = load_settings()
    _check(loaded)
    values = loaded.values.model_dump(mode="json")
    rows = [(name, value) for name, value in values.items() if name != "keys"]
    rows += [(f"keys.{name}", key) for name, key in loaded.values.keys.items()]
    if as_json:
        output = JsonOutput()
        for name, value in rows:
            origin = loaded.origins[name]
            output.object({"kind": "setting", "name": name, "value": value, "origin": origin})
        return 0
    write_table(
        ("SETTING", "VALUE", "FROM"),
        [(name, str(value), loaded.origins[name]) for name, value in rows],
    )
    write_lines([f"\nfile: {config_path()}"])
    return 0


@command.command("keys")
@json_option
def keys(as_json: bool) -> int:
    """Print every key of the console with the id that `[keys]` in the file knows it by."""
    from tui.console.keymap import all_bindings, read_keymap

    loaded = load_settings()
    keymap = read_keymap(loaded)
    rows = [
        (
            str(binding.id),
            keymap.readable(binding),
            loaded.origins.get(f"keys.{binding.id}", "default"),
            section,
            str(binding.tooltip or binding.description),
        )
        for section, binding in all_bindings()
    ]
    if as_json:
        output = JsonOutput()
        for name, pressed, origin, section, told in rows:
            output.object(
                {
                    "kind": "key",
                    "id": name,
                    "keys": pressed.split(),
                    "origin": origin,
                    "where": section,
                    "does": told,
                }
            )
        return 0
    write_table(("ID", "KEYS", "FROM", "WHERE", "DOES"), rows)
    write_lines([f'\nin {config_path()}:\n[keys]\npause = "P"\n"pane.2" = "f2,ctrl+y"'])
    return 0


@command.command("themes")
@json_option
def themes(as_json: bool) -> int:
    """Print the themes of the console."""
    from tui.console.themes import THEMES, about, check_theme

    chosen = check_theme(load_settings())
    if as_json:
        output = JsonOutput()
        for name, theme in THEMES.items():
            output.object(
                {"kind": "theme", "name": name, "about": about(theme), "chosen": name == chosen}
            )
        return 0
    write_table(
        ("", "THEME", "LOOKS"),
        [("*" if name == chosen else "", name, about(theme)) for name, theme in THEMES.items()],
    )
    return 0


def _check(loaded: LoadedSettings) -> None:
    """Refuse keys and a theme that the console would refuse; loads it only if there are any.

    Raises:
        UsageError: one of them cannot be.
    """
    if loaded.values.keys or loaded.origins["theme"] != "default":
        from tui.console.options import console_options

        console_options(loaded)
