"""Criteria as Beyla's YAML writes them, and what is said about those that cannot match."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.discovery.candidate import Candidate
from engine.discovery.criteria import LANGUAGES, Criterion, Dialect, read_criteria
from engine.discovery.document import parse_document
from engine.discovery.evaluate import evaluate
from engine.discovery.futile import futilities
from engine.discovery.glob import Glob
from engine.discovery.policy import Policy
from engine.discovery.ports import PortEnum
from engine.discovery.regexp import Regexp


def read(
    text: str, section: str = "instrument", dialect: Dialect = "glob", *, validated: bool = True
) -> tuple[Criterion, ...]:
    document = parse_document(f"{section}:\n{text}", "beyla.yaml", {})
    assert document is not None
    return read_criteria(document.members()[section], section, dialect, validated=validated)


def test_every_attribute_is_read() -> None:
    (criterion,) = read(
        """
  - open_ports: 80,8000-8999
    target_pids: [1, 22]
    exe_path: "*/server"
    cmd_args: "* --prod *"
    languages: "{go,rust}"
    containers_only: true
    k8s_namespace: shop
    container_name: "web*"
    k8s_pod_labels: {app: "web*"}
    k8s_pod_annotations: {a/b: "?"}
    name: web
    namespace: shop
    exports: [traces]
    sampler: {name: traceidratio, arg: "0.1"}
    routes: {incoming: heuristic}
    metrics: {features: [application]}
"""
    )
    assert criterion.where == "discovery.instrument[0]"
    assert str(criterion) == (
        "pid 1,22 and open_port 80,8000-8999 and exe */server and args * --prod * and "
        "language {go,rust} and in a container and k8s_namespace shop and container_name web* "
        "and app web* and a/b ?"
    )
    assert (criterion.name, criterion.namespace) == ("web", "shop")
    assert criterion.exports == ("traces",)
    assert criterion.unused == ("exports", "sampler", "routes", "metrics")


def test_criteria_cannot_be_changed() -> None:
    (criterion,) = read("  - open_ports: 80")
    with pytest.raises(AttributeError):
        criterion.name = "x"  # type: ignore[misc]


def test_regular_expressions_are_searched_for() -> None:
    first, second = read(
        "  - exe_path: weird\\d\n  - exe_path_regexp: server\n    open_ports: 443\n",
        "services",
        "regexp",
    )
    assert first.exe_path is not None
    assert first.exe_path.matches("/bin/weird33")
    assert second.exe_path is None
    assert second.exe_path_regexp is not None


@pytest.mark.parametrize("text", ["  []", "  null", ""])
def test_a_list_may_be_empty(text: str) -> None:
    assert read(text) == ()


@pytest.mark.parametrize(
    ("text", "section", "dialect", "message"),
    [
        ("  - name: x", "instrument", "glob",
         "beyla.yaml:2: instrument[0]: error in instrument YAML property: entry [0] should define "
         "at least one selection criteria"),
        ("  - open_ports: 80\n  - {}", "instrument", "glob", "entry [1] should define"),
        ("  - {}", "services", "regexp", "index [0] should define at least one"),
        ("  - open_portz: 80", "instrument", "glob",
         "beyla.yaml:2: instrument[0].open_portz: unknown attribute in discovery.instrument[0]: "
         "open_portz"),
        ("  - open_portz: 80", "services", "regexp", "unknown attribute in index [0]: open_portz"),
        ("  - exe_path_regexp: x", "instrument", "glob", "unknown attribute"),
        ("  - exe_path: [a]", "instrument", "glob", "a single value is wanted"),
        ("  - exe_path: '['", "instrument", "glob", "instrument[0].exe_path: invalid glob"),
        ("  - exe_path: '('", "services", "regexp", "invalid regular expression"),
        ("  - open_ports: 80;90", "instrument", "glob", "instrument[0].open_ports: invalid int"),
        ("  - open_ports: 80\n    exports: [logz]", "instrument", "glob", "cannot be exported"),
        ("  - 80", "instrument", "glob", "a mapping is wanted"),
        ("  ''", "instrument", "glob", "a list is wanted"),
        ("  - target_pids: [x]", "instrument", "glob", "instrument[0].target_pids[0]"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_place(
    text: str, section: str, dialect: Dialect, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        read(text, section, dialect)
    assert message in caught.value.message


def test_a_mistyped_key_is_told_the_right_one() -> None:
    with pytest.raises(UsageError) as caught:
        read("  - open_portz: 80")
    assert caught.value.fix == "did you mean open_ports?"


def test_the_default_lists_are_not_validated() -> None:
    (criterion,) = read("  - some_key: x", "default_exclude_instrument", validated=False)
    assert criterion.metadata[0][0] == "some_key"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("open_ports: 8999-8000", "covers no port"),
        ("open_ports: 70000,0", "covers no port"),
        ("exe_path: server", "no path matches 'server'"),
        ("exe_path: '{server,nginx}'", "paths begin with /"),
        ("exe_path: '[ab]*'", "paths begin with /"),
        ("languages: go,java", "no language is called"),
        ("languages: Go", "no language is called"),
        ("k8s_deployment_name: x", "Kubernetes API"),
    ],
)
def test_a_criterion_that_never_matches_says_why(text: str, why: str) -> None:
    (criterion,) = read(f"  - {text}")
    assert any(each.never and why in each.why for each in futilities(criterion))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("open_ports: 80,70000", "70000 covers no port"),
        ("languages: '{go, java}'", "' java' names none"),
        ("containers_only: true", "containers_only alone is no condition"),
    ],
)
def test_a_part_that_never_matches_is_told_too(text: str, why: str) -> None:
    (criterion,) = read(f"  - {text}")
    (found,) = futilities(criterion)
    assert (found.never, why in found.why) == (False, True)


@pytest.mark.parametrize(
    "text",
    ["open_ports: 80", "exe_path: '*server'", "exe_path: /bin/x", "exe_path: '{a,/b}'",
     "exe_path: '[a/]bin/x'", "exe_path: unknown", "languages: '{go,java}'", "languages: '*'",
     "k8s_namespace: x", "target_pids: [1]", r"exe_path: '\/bin/x'"],
)  # fmt: skip
def test_nothing_is_said_about_the_others(text: str) -> None:
    assert list(futilities(read(f"  - {text}")[0])) == []


def test_an_anchored_expression_that_no_path_begins_with() -> None:
    (criterion,) = read("  - exe_path: ^python", "services", "regexp")
    assert [each.never for each in futilities(criterion)] == [True]
    (criterion,) = read("  - exe_path_regexp: server", "services", "regexp")
    assert [each.never for each in futilities(criterion)] == [False]


PARTS = st.sampled_from(
    ["/", "a", "*", "?", "[a/]", "[!a]", "{a,/}", "\\/", "unknown", "^", "go", ","]
)
TEXTS = st.lists(PARTS, min_size=1, max_size=4).map("".join)
PATHS = st.sampled_from(["unknown", "/", "/a", "/go", "/a/b", "/unknown", "/bin/a"])


@given(
    st.none() | TEXTS, st.none() | TEXTS, st.sampled_from(["", "80", "0", "90-80", "70000"]),
    st.booleans(), PATHS, st.sampled_from(LANGUAGES), st.integers(1, 65535),
)  # fmt: skip
def test_what_is_said_never_to_match_never_matches(
    exe: str | None, language: str | None, ports: str, regexp: bool,
    path: str, spoken: str, port: int,
) -> None:  # fmt: skip
    def pattern(text: str | None) -> Glob | Regexp | None:
        try:
            return None if text is None else (Regexp if regexp else Glob).parse(text)
        except UsageError:
            return None

    criterion = Criterion(
        "x",
        "regexp" if regexp else "glob",
        open_ports=PortEnum.parse(ports),
        exe_path=pattern(exe),
        languages=pattern(language),
    )
    if any(each.never for each in futilities(criterion)):
        candidate = Candidate(1, exe=path, ports=(port, 80), language=spoken)
        assert not evaluate(criterion, candidate, Policy(3, (criterion,))).matched
