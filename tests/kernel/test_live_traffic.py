"""Real services and clients on loopback: every exchange is a message, live and by capture."""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import fixtures
from engine.core.clock import SystemClock, parse_rfc3339
from engine.core.records import Record
from engine.core.settings import Settings
from engine.core.source import Logbook
from engine.live import LiveEngine
from engine.selection import Selection
from engine.traffic.inputs import CaptureInput
from engine.traffic.options import TrafficOptions
from engine.traffic.source import TrafficSource
from tests.values import json_of
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

FOLDER = Path(__file__).parent
CLOCK_NANOSLEEP = "230"  # its number
DEMO = Path(fixtures.__file__).parent / "wasm" / "demo" / "demo.wasm"
DEADLINE_S = 90.0
CLOCK_SLACK_NS = 50_000_000
"""Stamps of the kernel and of the client are of two clocks, compared once a minute."""
TOLERANCE_MS = 1.0
"""Or a tenth of what the client measured, whichever is more."""


class Peer:
    """A service or a client of our own, that ends with the test."""

    def __init__(self, script: str, *arguments: object) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(FOLDER / script), *map(str, arguments)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self.process.pid
        self.first = self.line()

    def line(self) -> str:
        """What it says next."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def ask(self, *command: object) -> list[list[Any]]:
        """Have a client do something; returns what it noted."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        answer: list[list[Any]] = json.loads(self.line())
        return answer

    def end(self) -> None:
        """End it and wait for it."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


@pytest.fixture
def peers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def peer(stack: ExitStack, script: str, *arguments: object) -> Peer:
    """A peer that ends with the stack."""
    one = Peer(script, *arguments)
    stack.callback(one.end)
    return one


@contextmanager
def listening(**selection: Any) -> Iterator[LiveEngine]:
    """An engine whose probe works."""
    settings = Settings(open_port=selection.pop("open_port", ""), scan_interval_s=0.1)
    engine = LiveEngine(Selection(probe=True, live=True, **selection), settings)
    with engine:
        wait_until(lambda: state(engine, "probe") in ("running", "degraded"), DEADLINE_S)
        yield engine


def state(engine: LiveEngine, source: str) -> str:
    return engine.snapshot().sources[source].state


def messages(engine: LiveEngine, protocol: str = "") -> list[Record]:
    """All messages so far, oldest first."""
    records = engine.since("l7_message", 0, 100_000).records
    return [record for record in records if protocol in ("", record.get("protocol"))]


def everything(client: Peer, ports: list[int]) -> tuple[list[list[Any]], list[list[Any]]]:
    """A thousand HTTP exchanges and 60 of DNS; what the client noted."""
    four, six, udp, tcp = ports
    visits = [
        *client.ask("visit", "127.0.0.1", four, 400, True),
        *client.ask("visit", "127.0.0.1", four, 200, False),
        *client.ask("visit", "::1", six, 300, True),
        *client.ask("visit", "::1", six, 100, False),
    ]
    lookups = [*client.ask("resolve", udp, 30, False), *client.ask("resolve", tcp, 30, True)]
    return visits, lookups


def compare(found: list[Record], noted: list[list[Any]]) -> None:
    """Every exchange is there once, with its status and within the client's own time."""
    assert Counter((one.get("request"), one.get("status")) for one in found) == Counter(
        (request, status) for request, status, *_ in noted
    )
    by_request = {str(one.get("request")): one for one in found}
    off: list[float] = []
    for request, _, own_port, before, after in noted:
        one = by_request[request]
        latency = one.get("latency_ms")
        assert isinstance(latency, float)
        # However busy the box: the exchange lies within what the client went through.
        began = parse_rfc3339(str(one.as_json()["ts"]))
        assert before - CLOCK_SLACK_NS <= began
        assert began + latency * 1e6 <= after + CLOCK_SLACK_NS
        assert 0 <= latency <= (after - before) / 1e6
        if own_port:
            assert str(one.get("src")).endswith(f":{own_port}")
        assert one.get("session") == "answered"
        own = (after - before) / 1e6
        off.append((own - latency) / max(TOLERANCE_MS, own / 10))
    assert_close(off)


def assert_close(off: Sequence[float]) -> None:
    """The latencies are the client's own, as far as the box lets two processes agree.

    On a busy box most exchanges are interrupted between the client's clock and its call; where
    the measure itself is wrong, all are off.

    Args:
        off: By how much, in parts of what is allowed.
    """
    assert statistics.quantiles(off, n=10)[0] <= 1


def settled(engine: LiveEngine, count: int) -> None:
    """Wait until so many messages are there, and none is left to come."""
    wait_until(lambda: len(messages(engine)) >= count, DEADLINE_S)


def check_counters(engine: LiveEngine) -> None:
    counters = engine.snapshot().sources["traffic"].counters
    assert counters.balanced
    assert counters.dropped == {}
    assert counters.seen > 0


@pytest.mark.parametrize("attached", ["both", "client", "server"])
def test_every_exchange_is_a_message_whoever_is_attached(peers: ExitStack, attached: str) -> None:
    server = peer(peers, "traffic_server.py")
    client = peer(peers, "traffic_client.py")
    pids = {"both": (server.pid, client.pid), "client": (client.pid,), "server": (server.pid,)}
    with listening(attach_pids=pids[attached]) as engine:
        visits, lookups = everything(client, json.loads(server.first))
        settled(engine, len(visits) + len(lookups))
        engine.stop()
        compare(messages(engine, "HTTP"), visits)
        compare(messages(engine, "DNS"), lookups)
        assert len(messages(engine)) == len(visits) + len(lookups) == 1_060
        for one in messages(engine):
            assert one.get("server_pid") == (server.pid if attached != "client" else None)
            assert one.get("client_pid") == (client.pid if attached != "server" else None)
        check_counters(engine)
        (totals,) = engine.snapshot().tables["traffic_state"]
        assert (totals.get("answered"), totals.get("unanswered"), totals.get("unmatched")) == (
            1_060,
            0,
            0,
        )


CURL_SAYS = "%{http_code} %{local_port} %{time_pretransfer} %{time_starttransfer} %{url}\\n"


def curl(url: str, first: int, last: int, *options: str) -> list[tuple[str, str, int, float]]:
    """Requests of one curl over one connection, one for each number.

    Returns:
        Of each its path, its status, curl's own port, and the milliseconds from the request to the
        first byte of the response.
    """
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    wanted = "".join(
        f'url = "{url}{number}"\noutput = "/dev/null"\n' for number in range(first, last + 1)
    )
    done = subprocess.run(
        [program, "-s", "-g", "-w", CURL_SAYS, *options, "-K", "-"],
        check=True,
        input=wanted,
        capture_output=True,
        text=True,
        timeout=DEADLINE_S,
    )
    noted = []
    for line in done.stdout.splitlines():
        status, port, before, begun, asked = line.split(maxsplit=4)
        path = "/" + asked.split("/", 3)[3]
        noted.append((path, status, int(port), (float(begun) - float(before)) * 1e3))
    return noted


def test_a_thousand_requests_of_curl_are_a_thousand_messages(peers: ExitStack) -> None:
    server = peer(peers, "traffic_server.py")
    four, six = json.loads(server.first)[:2]
    with listening(attach_pids=(server.pid,), wasm=(DEMO,)) as engine:
        begun = f"http://127.0.0.1:{four}/status"
        noted = [
            *curl(f"{begun}/200/plain/", 1, 400),
            *curl(f"{begun}/404/chunked/", 401, 600),
            *curl(f"{begun}/503/plain/", 601, 700),
            *curl(f"http://[::1]:{six}/status/200/chunked/", 701, 950),
            *(
                one
                for number in range(951, 1_001)
                for one in curl(f"{begun}/500/plain/", number, number)
            ),
        ]
        settled(engine, 1_000)
        engine.stop()
        found = {str(one.get("request")): one for one in messages(engine)}
        assert len(messages(engine)) == len(found) == len(noted) == 1_000
        off = []
        for path, status, port, own in noted:
            one = found[f"GET {path}"]
            assert (one.get("status"), one.get("session")) == (status, "answered")
            assert str(one.get("src")).endswith(f":{port}")
            assert one.get("server_pid") == server.pid
            latency = one.get("latency_ms")
            assert isinstance(latency, float)
            off.append(abs(own - latency) / max(TOLERANCE_MS, own / 10))
            # The plugin's result is on the row, and its call can be found from it.
            assert one.get("parsed_by") == "built-in+demo"
            told = json_of(one)
            assert {"endpoint"} <= {change["field"] for change in told["merged"]}
            assert {change["call"] for change in told["merged"]} <= set(told["wasm_calls"])
        assert_close(off)
        check_counters(engine)


def test_a_request_with_a_head_longer_than_what_is_copied_is_one_message(peers: ExitStack) -> None:
    server = peer(peers, "traffic_server.py")
    port = json.loads(server.first)[0]
    with listening(attach_pids=(server.pid,)) as engine:
        long = ["-H", f"X-Long: {'a' * 5_000}"]
        noted = curl(f"http://127.0.0.1:{port}/status/200/plain/", 1, 2, *long)
        settled(engine, 2)
        engine.stop()
        # Whoever is busy may get the rest of a head in a second read; it is no message.
        assert [(one.get("request"), one.get("status")) for one in messages(engine)] == [
            (f"GET {path}", status) for path, status, *_ in noted
        ]
        for one in messages(engine):
            assert (one.get("protocol"), one.get("session")) == ("HTTP", "answered")
            assert isinstance(one.get("latency_ms"), float)
            remarks: Any = one.get("attributes")
            assert remarks["request_head"].startswith("not captured whole: ")
        assert engine.snapshot().sources["traffic"].counters.balanced


@contextmanager
def command(cache: Path, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command that has to compile the kernel's programs first; killed if it is still there."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tui.cli", *map(str, arguments)],
        env={**os.environ, "XDG_CACHE_HOME": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with child:
        try:
            yield child
        finally:
            child.kill()


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_what_is_sent_once_it_says_that_it_listens_is_seen(
    peers: ExitStack, tmp_path: Path
) -> None:
    server, client = peer(peers, "traffic_server.py"), peer(peers, "traffic_client.py")
    port = json.loads(server.first)[0]
    with command(tmp_path, "traffic", "--pid", server.pid, "--count", 1, "--json") as child:
        assert child.stderr is not None
        assert child.stderr.readline() == f"boxscope: listening to {server.pid}\n"
        ((request, *_),) = client.ask("visit", "127.0.0.1", port, 1, False)
        lines = json_lines(child.communicate(timeout=DEADLINE_S)[0])
    assert child.returncode == 0
    assert [one["request"] for one in lines if one["kind"] == "l7_message"] == [request]
    (row,) = [one for one in lines if one["kind"] == "capture_state"]
    assert row["state"] == "attached"
    assert row["payloads"] >= 2


def test_what_is_sent_once_a_row_says_that_it_is_attached_is_seen(
    peers: ExitStack, tmp_path: Path
) -> None:
    server, client = peer(peers, "traffic_server.py"), peer(peers, "traffic_client.py")
    port = json.loads(server.first)[0]
    asked = ("discover", "--watch", "--attach", "--open-port", port, "--json")
    with command(tmp_path, *asked) as child:
        assert child.stdout is not None
        assert any(json.loads(line).get("attached") for line in child.stdout)
        client.ask("visit", "127.0.0.1", port, 1, False)
        child.send_signal(signal.SIGINT)
        *_, row, _ = json_lines(child.communicate(timeout=DEADLINE_S)[0])
    assert (row["kind"], row["state"], row["pid"]) == ("capture_state", "attached", server.pid)
    assert row["payloads"] >= 2


@pytest.mark.fault("kill -9 of the process that compiles the kernel's programs")
def test_where_the_programs_are_not_compiled_it_does_not_say_that_it_listens(
    peers: ExitStack, tmp_path: Path
) -> None:
    server = peer(peers, "traffic_server.py")
    with command(tmp_path, "traffic", "--pid", server.pid, "--json") as child:
        wait_until(lambda: compilers(child.pid), DEADLINE_S)
        (compiler,) = compilers(child.pid)
        os.kill(compiler, signal.SIGSTOP)
        wait_until(lambda: is_waiting(child.pid), DEADLINE_S)
        os.kill(compiler, signal.SIGKILL)
        said, complained = child.communicate(timeout=DEADLINE_S)
    assert child.returncode == 1, complained
    assert "listening to" not in complained
    assert "the compiler ended without an answer" in complained
    assert json_lines(said)[-1]["sources"]["traffic"]["state"] == "failed"


def is_waiting(pid: int) -> bool:
    """Whether the main thread sleeps: the sources have been started, and are not ready."""
    return Path(f"/proc/{pid}/syscall").read_text().split()[0] == CLOCK_NANOSLEEP


def compilers(parent: int) -> list[int]:
    """Children of a process that compile the kernel's programs."""
    try:
        tasks = list(Path(f"/proc/{parent}/task").glob("*/children"))
        pids = [int(pid) for task in tasks for pid in task.read_text().split()]
        return [
            pid for pid in pids if b"compile_child" in Path(f"/proc/{pid}/cmdline").read_bytes()
        ]
    except FileNotFoundError:  # it has ended meanwhile
        return []


def test_what_discovery_lists_is_attached_and_shown_so(peers: ExitStack) -> None:
    server = peer(peers, "traffic_server.py")
    port = json.loads(server.first)[0]
    with listening(discovery=True, open_port=str(port), attach=True) as engine:
        wait_until(lambda: engine.attached == {server.pid}, DEADLINE_S)

        def row() -> Record:
            (only,) = engine.snapshot().tables["process"]
            return only

        wait_until(lambda: row().get("attached") is True, DEADLINE_S)
        engine.detach(server.pid)
        assert engine.attached == frozenset()
        assert row().get("attached") is False
        engine.attach(server.pid)
        assert engine.attached == {server.pid}


def test_a_service_that_is_started_again_stays_attached_and_no_other_is(peers: ExitStack) -> None:
    first, other = Peer("traffic_server.py"), peer(peers, "traffic_server.py")
    port, others_port = json.loads(first.first)[0], json.loads(other.first)[0]
    client = peer(peers, "traffic_client.py")
    with listening(discovery=True, open_port=f"{port},{others_port}") as engine:
        wait_until(lambda: {first.pid, other.pid} <= listed(engine).keys(), DEADLINE_S)
        engine.attach(first.pid)
        client.ask("visit", "127.0.0.1", others_port, 5, True)
        client.ask("visit", "127.0.0.1", port, 5, True)
        settled(engine, 5)
        first.end()
        wait_until(lambda: captures(engine)[first.pid].get("state") == "awaited", DEADLINE_S)
        second = peer(peers, "traffic_server.py", port)
        wait_until(lambda: engine.attached == {second.pid}, DEADLINE_S)
        client.ask("visit", "127.0.0.1", others_port, 5, True)
        client.ask("visit", "127.0.0.1", port, 5, True)
        settled(engine, 10)
        assert [one.get("server_pid") for one in messages(engine)] == [
            *[first.pid] * 5,
            *[second.pid] * 5,
        ]
        wait_until(lambda: listed(engine).get(second.pid) is True, DEADLINE_S)
        assert listed(engine)[other.pid] is False
        assert captures(engine).keys() == {first.pid, second.pid}
        for pid, state, cause in (
            (first.pid, "ended", "by hand"),
            (second.pid, "attached", f"in place of {first.pid}"),
        ):
            row = captures(engine)[pid]
            assert (row.get("state"), row.get("cause")) == (state, cause)
            # A request that is read, and an answer that is written in one piece or two.
            payloads, taken = row.get("payloads"), row.get("payload_bytes")
            assert isinstance(payloads, int)
            assert isinstance(taken, int)
            assert payloads >= 10
            assert taken > 5 * len("GET / HTTP/1.1")
            assert row.get("dropped") == 0
            assert json_of(row)["us_per_payload"] > 0
        changes = engine.since("process", 0, 1_000).records
        for pid in (first.pid, second.pid):
            assert any(one.pid == pid and one.get("attached") for one in changes)
        told = [str(one.get("text")) for one in engine.since("log", 0, 1_000).records]
        assert any(f"{second.pid}" in text and f"in place of {first.pid}" in text for text in told)
        assert all(each.balanced for each in engine.snapshot().sources["discovery"].stages.values())
        check_counters(engine)
    assert engine.attached == frozenset()


def listed(engine: LiveEngine) -> dict[int | None, object]:
    """Whether each listed process is attached."""
    return {row.pid: row.get("attached") for row in engine.snapshot().tables.get("process", ())}


def captures(engine: LiveEngine) -> dict[int | None, Record]:
    return {row.pid: row for row in engine.snapshot().tables["capture_state"]}


def test_a_client_that_no_criterion_lists_is_attached_until_it_ends(peers: ExitStack) -> None:
    server, client = peer(peers, "traffic_server.py"), Peer("traffic_client.py")
    port = json.loads(server.first)[0]
    with listening(discovery=True, open_port="1") as engine:
        engine.attach(client.pid)
        client.ask("visit", "127.0.0.1", port, 3, True)
        settled(engine, 3)
        assert {one.get("client_pid") for one in messages(engine)} == {client.pid}
        client.end()
        wait_until(lambda: engine.attached == frozenset(), DEADLINE_S)
        assert captures(engine)[client.pid].get("state") == "awaited"


@contextmanager
def captured(path: Path, ports: list[int]) -> Iterator[None]:
    """tcpdump writes what goes through these ports of the loopback to a file."""
    tcpdump = shutil.which("tcpdump")
    if tcpdump is None:
        pytest.skip("tcpdump is not installed")
    wanted = " or ".join(f"port {port}" for port in ports)
    options = ["-i", "lo", "-U", "-n", "-B", "32768", "-s", "8192", "-Z", "root"]
    writer = subprocess.Popen(
        [tcpdump, *options, "--immediate-mode", "-w", str(path), wanted],
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert writer.stderr is not None
        said = iter(writer.stderr.readline, "")
        assert any("listening on" in line for line in said), "tcpdump did not start"
        yield
    finally:
        writer.terminate()
        writer.communicate(timeout=DEADLINE_S)


@pytest.mark.parametrize("reassemble", [False, True])
def test_a_capture_of_the_same_traffic_gives_the_same_messages(
    peers: ExitStack, tmp_path: Path, reassemble: bool
) -> None:
    path = tmp_path / "lo.pcap"
    server = peer(peers, "traffic_server.py")
    client = peer(peers, "traffic_client.py")
    ports = json.loads(server.first)
    with listening(attach_pids=(server.pid, client.pid)) as engine:
        with captured(path, ports):
            visits, lookups = everything(client, ports)
            last = lookups[-1][0].split()[1].partition(".")[0].encode() + b"\x03tcp"
            wait_until(lambda: path.read_bytes().count(last) == 2, DEADLINE_S)
        settled(engine, len(visits) + len(lookups))
        engine.stop()
        live = messages(engine)
    clock = SystemClock()
    traffic = TrafficSource(
        clock,
        Logbook(clock),
        inputs=[CaptureInput(clock, path)],
        wasm=None,
        options=TrafficOptions(reassemble=reassemble),
    )
    traffic.run_once()
    saved = list(traffic.rings["l7_message"].since(0, 100_000).records)
    same = ("protocol", "src", "dst", "request", "status", "session", "request_bytes",
            "response_bytes", "attributes")  # fmt: skip
    assert Counter(shape(one, same) for one in saved) == Counter(shape(one, same) for one in live)
    compare([one for one in saved if one.get("protocol") == "HTTP"], visits)
    compare([one for one in saved if one.get("protocol") == "DNS"], lookups)
    counters = traffic.status().counters
    assert counters.balanced
    # A busy box sends a segment twice now and then; nothing is missing for that.
    assert set(counters.dropped) <= {"retransmission"}


def shape(record: Record, names: tuple[str, ...]) -> str:
    return json.dumps([record.get(name) for name in names], sort_keys=True)
