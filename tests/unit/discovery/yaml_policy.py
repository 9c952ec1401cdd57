"""Policies out of YAML text, for tests."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from textwrap import dedent

from engine.discovery.config import load_config
from engine.discovery.policy import Policy, policy_of


def policy_from(
    text: str, environ: Mapping[str, str] | None = None, *, faithful: bool = False
) -> Policy:
    """The policy of a Beyla file with this text, and these variables."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "beyla.yaml"
        path.write_text(dedent(text))
        return policy_of(load_config(path, environ or {}, faithful=faithful))
