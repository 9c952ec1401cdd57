"""A download brings exactly the bytes that were asked for, or says why not."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from engine.agent.download import Abandoned, download
from engine.core.errors import PluginError
from tests.unit.agent.artifacts import Answer, sha256, web_server

BODY = bytes(range(256)) * 4_000
Handler = Callable[[BaseHTTPRequestHandler], None]


def redirect(to: str) -> Handler:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.end_headers()

    return answer


def test_the_artifact_is_written_to_its_place(tmp_path: Path) -> None:
    with web_server({"/plugin": BODY}) as web:
        download([web.url("/plugin")], sha256(BODY), tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == BODY


def test_urls_are_tried_in_order_until_one_has_it(tmp_path: Path) -> None:
    with web_server({"/broken": 503, "/wrong": b"wrong", "/right": BODY, "/late": BODY}) as web:
        urls = [web.url(path) for path in ("/none", "/broken", "/wrong", "/right", "/late")]
        download(["ftp://127.0.0.1/x", "nonsense", *urls], sha256(BODY), tmp_path / "got")
        assert web.asked == ["/none", "/broken", "/wrong", "/right"]
    assert (tmp_path / "got").read_bytes() == BODY


def test_when_no_url_has_it_each_says_why(tmp_path: Path) -> None:
    with web_server({"/broken": 503, "/wrong": b"wrong"}) as web:
        urls = [web.url(path) for path in ("/none", "/broken", "/wrong")]
        with pytest.raises(PluginError) as caught:
            download(urls, sha256(BODY), tmp_path / "got")
    message = caught.value.message
    assert f"{urls[0]}: HTTP status 404" in message
    assert f"{urls[1]}: HTTP status 503" in message
    assert f"{urls[2]}: its 5 bytes have SHA-256 {sha256(b'wrong')}" in message


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "data:,x", "/etc/passwd", "http://[::", "",
            "http:///x", "http://127.0.0.1:99999/", "http://127.0.0.1:1/a b", "http://\x1b[2J/"],
)  # fmt: skip
def test_only_http_is_spoken(tmp_path: Path, url: str) -> None:
    with pytest.raises(PluginError, match="cannot download it") as caught:
        download([url], sha256(b""), tmp_path / "got")
    assert caught.value.message.isprintable()


def test_a_server_that_is_not_there_is_said(tmp_path: Path) -> None:
    with web_server({}) as web:
        url = web.url("/plugin")
    with pytest.raises(PluginError, match="Connection refused"):
        download([url], sha256(b""), tmp_path / "got")


def test_a_redirect_is_followed_but_not_out_of_http(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(BODY)
    answers: dict[str, Answer] = {
        "/plugin": BODY,
        "/moved": redirect("/plugin"),
        "/out": redirect(secret.as_uri()),
        "/round": redirect("/round"),
    }
    with web_server(answers) as web:
        download([web.url("/moved")], sha256(BODY), tmp_path / "got")
        for path in ("/out", "/round"):
            with pytest.raises(PluginError, match="HTTP status 302"):
                download([web.url(path)], sha256(BODY), tmp_path / "other")
    assert (tmp_path / "got").read_bytes() == BODY


def test_an_artifact_that_is_too_long_is_given_up(tmp_path: Path) -> None:
    with (
        web_server({"/plugin": BODY}) as web,
        pytest.raises(PluginError, match="longer than 1000 bytes"),
    ):
        download([web.url("/plugin")], sha256(BODY), tmp_path / "got", max_bytes=1_000)


def test_a_body_that_is_cut_short_is_not_taken(tmp_path: Path) -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(len(BODY)))
        request.end_headers()
        request.wfile.write(BODY[:1_000])

    with (
        web_server({"/plugin": cut}) as web,
        pytest.raises(PluginError, match=r"its 1000 bytes have SHA-256|IncompleteRead"),
    ):
        download([web.url("/plugin")], sha256(BODY), tmp_path / "got")


@pytest.fixture
def dripping() -> Handler:
    """Answers with a byte each 10 ms for as long as somebody reads."""

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        pause = threading.Event()
        try:
            while not pause.wait(0.01):
                request.wfile.write(b"x")
        except OSError:
            request.close_connection = True

    return drip


def test_a_server_that_drips_is_given_up(tmp_path: Path, dripping: Answer) -> None:
    with (
        web_server({"/plugin": dripping}) as web,
        pytest.raises(PluginError, match="took too long"),
    ):
        download([web.url("/plugin")], sha256(b""), tmp_path / "got", total_s=0.3)


def test_a_download_nobody_wants_any_more_is_given_up(tmp_path: Path, dripping: Answer) -> None:
    asked = iter([False, False, True])
    with web_server({"/plugin": dripping}) as web, pytest.raises(Abandoned):
        download(
            [web.url("/plugin"), web.url("/never")],
            sha256(b""),
            tmp_path / "got",
            cancelled=lambda: next(asked),
        )
    assert web.asked == ["/plugin"]


def test_a_place_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with web_server({"/plugin": BODY}) as web, pytest.raises(PluginError, match="No such file"):
        download([web.url("/plugin")], sha256(BODY), tmp_path / "missing" / "got")
