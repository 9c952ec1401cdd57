"""Workspaces: read strictly, with lines; written so that reading gives the same again."""

from __future__ import annotations

import ast
import inspect
import stat
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from engine.core.errors import UsageError
from engine.core.kinds import KINDS
from engine.probe.patterns import PRESET_MARK
from engine.probe.presets import PRESETS
from engine.workspace import (
    LISTS,
    PANES,
    ModulePart,
    OpenedWorkspace,
    PluginPart,
    Workspace,
    read_workspace,
)
from engine.workspace_file import to_toml, write_workspace

FULL = """\
version = 1
theme = "nord"
zoom = "events"
ports = "80,8000-8999"
exe = "/usr/bin/*"
beyla_config = "beyla.yaml"
subscriptions = ["@network", "syscall_exit-openat:file", "tracepoint-*"]
wasm = ["parsers/users.wasm", "/opt/other.wasm"]

[filters]
events = "latency_ns > 5ms"
plugin-records = "data_type == 3"

[[plugins]]
file = "collector"
detail = '{"rate": 3}'

[[modules]]
file = "/opt/doctor.so"
name = "doc"
symbol = "Doctor"
args = [1, "two", 3.5]
"""


def read(folder: Path, text: str) -> Workspace:
    path = folder / "box.toml"
    path.write_text(text)
    return read_workspace(path).workspace


def test_everything_it_can_say(tmp_path: Path) -> None:
    workspace = read(tmp_path, FULL)
    assert workspace.wasm == (tmp_path / "parsers/users.wasm", Path("/opt/other.wasm"))
    assert workspace.plugins == (PluginPart(file=tmp_path / "collector", detail='{"rate": 3}'),)
    assert workspace.plugins[0].called == "collector"
    assert workspace.modules[0].called == "doc"
    assert workspace.modules[0].args == (1, "two", 3.5)
    assert workspace.pairs()[:2] == (("@network", ""), ("syscall_exit-openat", "file"))
    assert workspace.settings() == {"open_port": "80,8000-8999", "theme": "nord"}
    assert workspace.beyla_config == tmp_path / "beyla.yaml"


def test_what_it_does_not_say_is_left_to_the_settings(tmp_path: Path) -> None:
    workspace = read(tmp_path, "version = 1\n")
    assert workspace == OpenedWorkspace().workspace
    assert workspace.settings() == {}
    assert read(tmp_path, 'version = 1\nports = ""\n').settings() == {"open_port": ""}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"box.toml: version is missing"),
        ("version = 2\n", r"it has version 2, and this boxscope reads version 1"),
        ('version = "1"\n', r"line 1: version: Input should be a valid integer"),
        ("version = 1\ncolour = 3\n", r"line 2: a workspace has no colour"),
        ('version = 1\n[[plugins]]\nfile = "x"\nfil = 1\n', r"line 4: a workspace has no plugins"),
        ("version = 1\n[[plugins]]\n", r"line 2: plugins.0: file is missing"),
        ('version = 1\nwasm = [""]\n', r"line 2: wasm.0: a path is needed"),
        ('version = 1\nzoom = "all"\n', r"line 2: zoom: Input should be 'plugins'"),
        ('version = 1\n\nports = "80-"\n', r"line 3: ports: .*80-"),
        ("version = 1\nports = 80\n", r"line 2: ports: Input should be a valid string"),
        ('version = 1\nsubscriptions = [\n"syscall_exit-opn"]\n', r"line 2: subscriptions: .*opn"),
        ('version = 1\n[filters]\nevnts = "a"\n', r"line 3: filters.evnts: there is no such list"),
        (
            'version = 1\n[filters]\nevents = "pid =="\n',
            r"line 2: filters: events: the filter is wrong at",
        ),
        (
            'version = 1\n[filters]\nmessages = "cpu == 1"\n',
            r"messages: the filter is wrong at column 1: .*cpu",
        ),
        ("version = \n", r"not valid TOML.*line 1"),
        ('version = 1\n[[modules]]\nfile = "m"\nargs = [[1]]\n', r"line 4: modules.0.args.0: "),
    ],
)
def test_what_means_nothing_is_refused_with_its_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        read(tmp_path, text)


def test_a_file_that_is_not_there_is_no_traceback(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read the workspace .*No such file"):
        read_workspace(tmp_path / "none.toml")


@pytest.mark.parametrize("part", [Workspace, PluginPart, ModulePart])
def test_every_field_is_explained(part: type[BaseModel]) -> None:
    (declared,) = ast.parse(inspect.getsource(part)).body
    assert isinstance(declared, ast.ClassDef)
    explained = {
        field.target.id
        for field, after in pairwise(declared.body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
    }
    assert explained == part.model_fields.keys()


def test_every_list_has_kinds_that_exist() -> None:
    assert {kind for kinds in LISTS.values() for kind in kinds} <= KINDS.keys()


# Writing.


def test_paths_below_the_file_are_written_relative_to_it(tmp_path: Path) -> None:
    workspace = read(tmp_path, FULL)
    text = to_toml(workspace, tmp_path)
    assert '"parsers/users.wasm"' in text
    assert str(tmp_path) not in text
    assert str(tmp_path / "collector") in to_toml(workspace, Path("/elsewhere"))


def test_a_saved_workspace_is_its_owners_alone_and_can_be_saved_again(tmp_path: Path) -> None:
    path = tmp_path / "w.toml"
    write_workspace(read(tmp_path, FULL), path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    write_workspace(Workspace(version=1, theme="nord"), path)
    assert read_workspace(path).workspace.theme == "nord"
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_no_other_file_is_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "notes.toml"
    path.write_text("mine = true\n")
    with pytest.raises(UsageError, match="is there and no workspace"):
        write_workspace(Workspace(version=1), path)
    assert path.read_text() == "mine = true\n"


def test_a_path_that_is_no_text_is_refused(tmp_path: Path) -> None:
    workspace = Workspace(version=1, wasm=(tmp_path / "\udcff.wasm",))
    with pytest.raises(UsageError, match="is not UTF-8"):
        to_toml(workspace, tmp_path)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PATHS = st.builds(
    lambda text, within: Path("/box" if within else "/", text.replace("\0", "") or "x"),
    TEXTS.filter(lambda text: not text.startswith("/")),
    st.booleans(),
)
NUMBERS = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False)
WORKSPACES = st.builds(
    Workspace,
    version=st.just(1),
    theme=TEXTS,
    zoom=st.none() | st.sampled_from(PANES),
    ports=st.none() | st.sampled_from(["", "80", "1-2,8080"]),
    exe=st.sampled_from(["", "/usr/*"]),
    beyla_config=st.none() | PATHS,
    subscriptions=st.lists(
        st.sampled_from(
            [*(PRESET_MARK + each.name for each in PRESETS), "syscall_exit-read:net", "*:file"]
        )
    ).map(tuple),
    wasm=st.lists(PATHS, max_size=3).map(tuple),
    filters=st.dictionaries(
        st.sampled_from(list(LISTS)), st.sampled_from(["pid == 1", '"a\\"b" or comm ~ "^x"'])
    ),
    plugins=st.lists(st.builds(PluginPart, file=PATHS, name=TEXTS, detail=TEXTS), max_size=3).map(
        tuple
    ),
    modules=st.lists(
        st.builds(
            ModulePart,
            file=PATHS,
            symbol=TEXTS,
            args=st.lists(TEXTS | NUMBERS, max_size=3).map(tuple),
            prototypes=st.lists(TEXTS, max_size=2).map(tuple),
            anyway=st.booleans(),
        ),
        max_size=2,
    ).map(tuple),
)


@settings(max_examples=150, deadline=None)
@given(WORKSPACES)
def test_what_is_written_reads_as_it_was(workspace: Workspace) -> None:
    with TemporaryDirectory() as folder:
        path = Path(folder, "w.toml")
        path.write_text(to_toml(workspace, Path("/box")), newline="")
        here = read_workspace(path).workspace
        again = Path(folder, "again.toml")
        write_workspace(here, again)
        assert read_workspace(again).workspace == here
