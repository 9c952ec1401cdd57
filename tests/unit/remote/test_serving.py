"""An engine with consoles attached: each is told and obeyed, none can disturb another."""

from __future__ import annotations

import os
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core.errors import AttachError, FailedError, UsageError
from engine.engine import Engine
from engine.remote.address import Peer
from engine.remote.frames import encode
from engine.remote.hello import Hello
from engine.remote.remote import RemoteEngine
from engine.remote.server import MOST, EngineServer
from engine.remote.teller import AT_ONCE
from tests.ui.fake_engine import FakeEngine, record
from tests.unit.remote.serving import RawConsole, Served, served
from tests.waiting import wait_until


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look for an engine that has gone more often than one would."""
    monkeypatch.setattr("engine.remote.following.RETRY_S", 0.02)


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def door(engine: FakeEngine, tmp_path: Path) -> Iterator[Served]:
    with served(engine, tmp_path) as one:
        yield one


@pytest.fixture
def remote(door: Served) -> Iterator[RemoteEngine]:
    with RemoteEngine(door.path) as one:
        yield one


@pytest.fixture
def raw(door: Served) -> Iterator[RawConsole]:
    console = RawConsole(door.path)
    yield console
    console.close()


def still_serves(door: Served, engine: FakeEngine) -> None:
    """Whether another console is told of what comes now."""
    with RemoteEngine(door.path, Hello(backlog=0)) as other:
        before = other.last_seq("log")
        engine.emit(record("log", text="after that"))
        wait_until(lambda: other.last_seq("log") > before)
        assert other.since("log", before).records[-1].get("text") == "after that"


# Being told.


def test_a_console_sees_what_the_engine_has_and_what_comes(
    engine: FakeEngine, door: Served
) -> None:
    engine.set_table("process", [record("process", 7, "cat")])
    engine.emit_events(10)
    with RemoteEngine(door.path) as remote:
        snapshot = remote.snapshot()
        assert snapshot.tables == engine.snapshot().tables
        assert snapshot.host == engine.snapshot().host
        assert snapshot.attached is not None
        assert (snapshot.attached.pid, snapshot.attached.read_only) == (os.getpid(), False)
        remote.sync()
        engine.emit_events(5)
        remote.sync()
        here, there = remote.since("kernel_event", 0), engine.since("kernel_event", 0)
        assert [one.as_json() for one in here.records] == [one.as_json() for one in there.records]
        own = remote.snapshot().sources["attach"].counters
        assert (own.seen, own.kept, own.dropped) == (15, 15, {})


def test_several_are_told_the_same_and_one_that_leaves_takes_nothing_along(
    engine: FakeEngine, remote: RemoteEngine, door: Served
) -> None:
    with RemoteEngine(door.path) as other:
        engine.emit_events(3)
        for one in (remote, other):
            one.sync()
            assert one.last_seq("kernel_event") == 3
    wait_until(lambda: door.server.consoles == 1)
    engine.emit_events(1)
    remote.sync()
    assert remote.last_seq("kernel_event") == 4
    assert any("is gone: seen 3 kept 3 dropped 0" in note for note in door.notes)


def test_a_table_that_has_changed_is_told_and_others_stay(
    engine: FakeEngine, remote: RemoteEngine
) -> None:
    engine.set_table("process", [record("process", 7, "cat")])
    engine.set_table("wasm_plugin", [])
    remote.sync()
    engine.set_table("process", [])
    engine.set_table("plugin_state", [record("plugin_state", plugin=str(n)) for n in range(3)])
    remote.sync()
    assert remote.snapshot().tables == engine.snapshot().tables


def test_the_bytes_of_a_record_can_be_looked_at(engine: FakeEngine, remote: RemoteEngine) -> None:
    engine.emit(record("wasm_result"), record("wasm_result"))
    engine.keep_frame(2, b"\x00\xff")
    assert remote.raw("wasm_result", 2) == b"\x00\xff"
    assert remote.raw("wasm_result", 1) is None


# Having things done.


def test_every_command_reaches_the_engine_and_its_effect_is_in_the_next_picture(
    engine: FakeEngine, remote: RemoteEngine
) -> None:
    engine.set_cells(("read", "file", False))
    remote.switch([("read", "file")], True)
    (row,) = remote.snapshot().tables["subscription"]
    assert row.get("on") is True
    assert remote.load_plugin(Path("p"), name="n") == "n"
    assert remote.send_task("n", 5, "data") == "token-3"
    remote.set_ports("80")
    assert remote.explain(os.getpid()).facts.identity.pid == os.getpid()
    assert os.getpid() in remote.process_tree(os.getppid()).look()
    assert [call[0] for call in engine.calls] == [
        "on", "load_plugin", "send_task", "set_ports", "explain",
    ]  # fmt: skip
    assert engine.calls[1][1] == str(Path.cwd() / "p"), "as the engine finds it"


def test_a_refusal_is_the_one_the_engine_has_made(engine: FakeEngine, remote: RemoteEngine) -> None:
    engine.refusal = UsageError("no such event", fix="spell it")
    with pytest.raises(UsageError, match="no such event") as caught:
        remote.subscribe("x")
    assert caught.value.fix == "spell it"


def test_what_keeps_the_engine_busy_is_told_beside_what_is_done_here_and_can_be_cancelled(
    engine: FakeEngine, remote: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = FakeEngine.snapshot
    monkeypatch.setattr(
        FakeEngine, "snapshot", lambda self: replace(told(self), tasks=self.tasks.facts())
    )
    ended = threading.Event()
    with engine.tasks.begin("compiling", ended.set), remote.tasks.begin("looking around"):
        remote.sync()
        here, there = remote.progress()
        assert (here.name, there.name, there.cancellable) == ("looking around", "compiling", True)
        assert here.number != there.number
        remote.cancel_task(there.number)
        assert ended.is_set()
        with pytest.raises(FailedError):
            remote.cancel_task(here.number)
    remote.sync()
    assert remote.progress() == ()


def test_a_fault_in_the_engine_is_said_and_ends_nothing(
    engine: FakeEngine, door: Served, remote: RemoteEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(_self: Engine, text: str) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(FakeEngine, "set_ports", broken)
    with pytest.raises(FailedError, match="set_ports has failed in the engine"):
        remote.set_ports("80")
    remote.sync()
    assert any("a bug" in note for note in door.notes)


@pytest.mark.parametrize(
    "command",
    [
        ("subscribe", ("read",)),
        ("switch", ([("read", "")], True)),
        ("time_programs", (True,)),
        ("set_ports", ("80",)),
        ("attach", (1,)),
        ("load_plugin", (Path("/bin/true"),)),
        ("send_task", ("x", 1, "")),
        ("load_wasm", (Path("/x.wasm"),)),
        ("call_module", ("x", "y")),
        ("rerun_payload", (1,)),
        ("start_recording", (Path("/x.db"),)),
        ("dump_recording", (Path("/x.db"),)),
    ],
    ids=lambda command: command[0],
)
def test_who_only_looks_is_refused_by_the_engine(
    engine: FakeEngine, door: Served, command: tuple[str, tuple[object, ...]]
) -> None:
    name, arguments = command
    with RemoteEngine(door.path, Hello(read_only=True)) as remote:
        facts = remote.snapshot().attached
        assert facts is not None
        assert facts.read_only
        with pytest.raises(AttachError, match="may only look"):
            getattr(remote, name)(*arguments)
        remote.set_pids(frozenset({1}))
        assert remote.explain(os.getpid()).decision
    assert [call[0] for call in engine.calls] == ["explain"]


def test_a_scope_holds_as_long_as_everybody_wants_it(
    engine: FakeEngine, door: Served, remote: RemoteEngine
) -> None:
    remote.set_pids(frozenset({7}))
    assert engine.calls[-1] == ("set_pids", "7")
    with RemoteEngine(door.path):
        wait_until(lambda: engine.calls[-1] == ("set_pids",))
    wait_until(lambda: engine.calls[-1] == ("set_pids", "7"))


# Consoles that misbehave.


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        b"GET / HTTP/1.1\r\n\r\n",
        struct.pack("!I", 5) + b"{no}!",
        encode({"type": "call", "id": 1, "command": "sync", "arguments": {}}),
    ],
    ids=["bytes", "http", "json", "no hello"],
)
def test_garbage_instead_of_a_greeting_ends_that_console_only(
    engine: FakeEngine, door: Served, raw: RawConsole, garbage: bytes
) -> None:
    raw.socket.sendall(garbage)
    assert raw.next("refused")["message"]
    assert raw.closed()
    still_serves(door, engine)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\xff" * 100,
        encode({"type": "sing"}),
        encode({"type": "call", "id": "one", "command": "sync", "arguments": {}}),
    ],
    ids=["bytes", "type", "id"],
)
def test_garbage_later_on_ends_that_console_only(
    engine: FakeEngine, door: Served, raw: RawConsole, garbage: bytes
) -> None:
    assert raw.greet()["type"] == "welcome"
    raw.socket.sendall(garbage)
    assert raw.next("refused")["message"]
    assert raw.closed()
    still_serves(door, engine)


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("stop", {}),
        ("__init__", {}),
        ("explain", {"pid": "x"}),
        ("explain", {}),
        ("explain", {"pid": 1, "more": 2}),
        ("raw", {"kind": "no_kind", "seq": 2**70}),
        (["a"], {}),
        ("switch", None),
    ],
)
def test_a_request_that_means_nothing_is_refused_and_the_next_one_answered(
    raw: RawConsole, command: object, arguments: object
) -> None:
    raw.greet()
    raw.send({"type": "call", "id": 1, "command": command, "arguments": arguments})
    raw.send({"type": "call", "id": 2, "command": "sync", "arguments": {}})
    answers = {answer["id"]: answer for answer in (raw.next("result", "error") for _ in range(2))}
    assert answers[2]["type"] == "result"
    assert answers[1]["type"] == "error" or answers[1]["value"] is None


def test_another_version_is_told_so(raw: RawConsole) -> None:
    raw.send({"type": "hello", "protocol": 2, "version": "9.9", "wants": {"from": "the future"}})
    refusal = raw.next("refused")
    assert "boxscope 9.9" in refusal["message"]
    assert "speaks version 2 of the attach protocol" in refusal["message"]
    assert "same boxscope" in refusal["fix"]


def test_one_that_goes_in_the_middle_of_a_frame_is_forgotten(
    engine: FakeEngine, door: Served, raw: RawConsole
) -> None:
    raw.greet()
    raw.socket.sendall(struct.pack("!I", 1_000) + b'{"type":')
    raw.close()
    wait_until(lambda: door.server.consoles == 0)
    still_serves(door, engine)


def test_one_that_asks_and_never_reads_is_carried_out_a_few_times_only(
    engine: FakeEngine, door: Served, raw: RawConsole
) -> None:
    raw.greet()
    for number in range(60_000):  # more pictures than the socket holds
        engine.set_table("process", [record("process", number, exe="x" * 100_000)])
        try:
            raw.socket.settimeout(0.2)
            raw.send(
                {"type": "call", "id": number, "command": "set_ports", "arguments": {"text": "1"}}
            )
        except TimeoutError:
            break
        if number > 200 and len(engine.calls) < number - 2 * AT_ONCE:
            break
    asked, carried_out = number, len(engine.calls)
    assert carried_out < asked
    still_serves(door, engine)


def test_one_that_does_not_read_loses_records_counted_and_slows_nobody(
    engine: FakeEngine, door: Served, raw: RawConsole, remote: RemoteEngine
) -> None:
    raw.greet(Hello(every=True, backlog=0, kinds=("kernel_event",)))
    total = 40_000  # four times what the engine keeps, and more than the socket holds
    for _ in range(4):
        engine.emit_events(total // 4)
        wait_until(lambda: remote.last_seq("kernel_event") == engine.last_seq("kernel_event"))
    seen = read = 0
    lost: Counter[str] = Counter()
    while seen < total:
        message = raw.next("records", "reached")
        if message["type"] == "records":
            read += len(message["records"])
        else:
            seen = message["seq"]
            lost.update(message["lost"])
    assert lost == {"console_behind": total - read}
    assert 0 < read < total
    raw.close()
    wait_until(lambda: any(f"seen {total} kept {read} dropped" in note for note in door.notes))


def test_there_is_room_for_so_many_and_the_next_one_is_told(
    engine: FakeEngine, door: Served
) -> None:
    consoles = [RawConsole(door.path) for _ in range(MOST)]
    for console in consoles:
        assert console.greet()["type"] == "welcome"
    with pytest.raises(AttachError, match="as many as can be"):
        RemoteEngine(door.path).start()
    for console in consoles:
        console.close()
    wait_until(lambda: door.server.consoles == 0)
    still_serves(door, engine)


def test_what_a_console_says_cannot_harm_the_engines_log(door: Served, raw: RawConsole) -> None:
    raw.send(
        {"type": "hello", "protocol": 1, "version": "", "wants": {"\x1b[31m": 1, "backlog": "x"}}
    )
    raw.next("refused")
    wait_until(lambda: door.notes)
    assert "\x1b" not in "".join(door.notes)


def test_the_engine_of_another_user_cannot_harm_the_terminal(
    engine: FakeEngine, door: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine.set_table("process", [record("process", 7, "\x1b[2J", argv=["\x1b]0;x\x07"])])
    engine.emit(record("log", text="\x9b31m"))
    with RemoteEngine(door.path) as own:
        assert own.snapshot().tables["process"][0].comm == "\x1b[2J", "it has been cleaned there"
    monkeypatch.setattr("engine.remote.link.peer_of", lambda _socket: Peer(1, 4_242, 1))
    with RemoteEngine(door.path) as remote:
        (row,) = remote.snapshot().tables["process"]
        assert (row.comm, row.get("argv")) == ("␛[2J", ["␛]0;x␇"])
        wait_until(lambda: remote.last_seq("log"))
        assert remote.since("log", 0).records[0].get("text") == "\\x9b31m"


# The end of the engine.


def test_consoles_are_told_the_last_and_keep_it(engine: FakeEngine, tmp_path: Path) -> None:
    with served(engine, tmp_path) as door:
        remote = RemoteEngine(door.path)
        remote.start()
        engine.emit_events(4)
    wait_until(lambda: remote.lost)
    assert remote.last_seq("kernel_event") == 4
    snapshot = remote.snapshot()
    assert snapshot.sources["attach"].state == "failed"
    assert "was stopped" in snapshot.sources["attach"].reason
    assert snapshot.attached is not None
    assert snapshot.attached.lost
    with pytest.raises(AttachError, match="was stopped"):
        remote.set_ports("80")
    remote.stop()


def test_the_next_engine_at_that_place_is_found_and_is_another_one(
    engine: FakeEngine, tmp_path: Path
) -> None:
    engine.emit_events(9)
    with served(engine, tmp_path) as door:
        remote = RemoteEngine(door.path)
        remote.start()
        wait_until(lambda: remote.last_seq("kernel_event") == 9)
    wait_until(lambda: remote.lost)
    before, other = remote.epoch, FakeEngine()
    other.emit_events(2)
    with served(other, tmp_path):
        wait_until(lambda: not remote.lost)
        assert remote.epoch != before
        wait_until(lambda: remote.last_seq("kernel_event") == 2)
        remote.set_ports("80")
        assert other.calls == [("set_ports", "80")]
        remote.stop()


def test_a_console_that_comes_back_goes_on_where_it_was(
    engine: FakeEngine, door: Served, remote: RemoteEngine
) -> None:
    engine.emit_events(5)
    remote.sync()
    epoch = remote.epoch
    (session,) = door.server._sessions
    session.cut_off()
    wait_until(lambda: remote.lost)
    engine.emit_events(5)
    wait_until(lambda: not remote.lost)
    wait_until(lambda: remote.last_seq("kernel_event") == 10)
    assert [one.seq for one in remote.since("kernel_event", 0).records] == list(range(1, 11))
    assert remote.epoch == epoch


def test_who_waits_for_an_answer_when_the_engine_goes_is_told(
    engine: FakeEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def slow(_self: Engine, text: str) -> None:
        begun.set()
        go_on.wait(10)

    monkeypatch.setattr(FakeEngine, "set_ports", slow)
    failures: list[AttachError] = []

    def ask(remote: RemoteEngine) -> None:
        try:
            remote.set_ports("80")
        except AttachError as error:
            failures.append(error)

    with served(engine, tmp_path) as door:
        remote = RemoteEngine(door.path)
        remote.start()
        asking = threading.Thread(target=ask, args=(remote,))
        asking.start()
        assert begun.wait(10)
    asking.join(10)
    go_on.set()
    assert "was stopped" in failures[0].message
    remote.stop()


def test_an_engine_that_does_not_answer_is_not_waited_for_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.remote.link.CONNECT_S", 0.1)
    path = tmp_path / "engine.sock"
    with socket.socket(socket.AF_UNIX) as deaf:
        deaf.bind(str(path))
        deaf.listen()
        with pytest.raises(AttachError, match=f"process {os.getpid()}, does not answer"):
            RemoteEngine(path).start()


def test_nobody_is_let_in_twice_through_a_door_that_is_shut(
    engine: FakeEngine, tmp_path: Path
) -> None:
    with served(engine, tmp_path) as door:
        pass
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(AttachError, match="no engine listens"):
        RemoteEngine(door.path).start()
    assert isinstance(door.server, EngineServer)
