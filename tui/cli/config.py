"""`boxscope config`: print the settings in force."""

from __future__ import annotations

import click

from engine.core.settings import config_path, load_settings
from tui.cli.options import json_option
from tui.cli.output import JsonOutput, write_lines, write_table


@click.command("config")
@json_option
def command(as_json: bool) -> int:
    """Print every setting, its value and where the value came from."""
    loaded = load_settings()
    values = loaded.values.model_dump(mode="json")
    if as_json:
        output = JsonOutput()
        for name, value in values.items():
            origin = loaded.origins[name]
            output.object({"kind": "setting", "name": name, "value": value, "origin": origin})
        return 0
    write_table(
        ("SETTING", "VALUE", "FROM"),
        [(name, str(value), loaded.origins[name]) for name, value in values.items()],
    )
    write_lines([f"\nfile: {config_path()}"])
    return 0
