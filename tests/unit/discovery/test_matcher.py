"""The criterion: which processes are listed, and what it is called."""

from __future__ import annotations

import pytest

from engine.core.errors import UsageError
from engine.discovery.matcher import Criterion


@pytest.mark.parametrize(
    ("open_port", "exe", "text"),
    [
        ("", "", "any open port"),
        ("8000- 8999,80", "", "open_port 8000-8999,80"),
        ("", "*/nginx", "exe */nginx"),
        ("80", "*/nginx", "open_port 80 and exe */nginx"),
    ],
)
def test_it_says_what_it_demands(open_port: str, exe: str, text: str) -> None:
    assert str(Criterion.parse(open_port, exe)) == text


@pytest.mark.parametrize(
    ("open_port", "exe", "ports", "path", "selected"),
    [
        ("", "", [22], "/usr/sbin/sshd", True),
        ("", "", [22], None, True),
        ("8000-8999", "", [22, 8080], "/usr/bin/x", True),
        ("8000-8999", "", [22, 9000], "/usr/bin/x", False),
        ("8999-8000", "", [8500], "/usr/bin/x", False),
        ("", "*/nginx", [80], "/usr/sbin/nginx", True),
        ("", "*/nginx", [80], "/usr/sbin/apache2", False),
        ("", "*", [80], None, False),
        ("80", "*/nginx", [80], "/usr/sbin/nginx", True),
        ("80", "*/nginx", [81], "/usr/sbin/nginx", False),
        ("80", "*/nginx", [80], "/usr/sbin/apache2", False),
        ("", "*/nginx", [80], "/usr/sbin/nginx (deleted)", True),
        ("", "* (deleted)", [80], "/usr/sbin/nginx (deleted)", True),
        ("", "* (deleted)", [80], "/usr/sbin/nginx", False),
    ],
)
def test_all_conditions_must_hold(
    open_port: str, exe: str, ports: list[int], path: str | None, selected: bool
) -> None:
    assert Criterion.parse(open_port, exe).selects(ports, path) is selected


def test_malformed_conditions_are_refused() -> None:
    with pytest.raises(UsageError, match="invalid int enum"):
        Criterion.parse("http", "")
    with pytest.raises(UsageError, match="invalid glob"):
        Criterion.parse("", "[")
