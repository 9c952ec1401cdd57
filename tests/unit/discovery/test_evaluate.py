"""Conditions and criteria tried on processes: what matches, in which order, and what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.candidate import Candidate
from engine.discovery.evaluate import decide
from engine.discovery.policy import policy_of
from engine.discovery.trace import Decision
from tests.unit.discovery.yaml_policy import policy_from

MIXED = """
discovery:
  services:
    - {name: port-only, open_ports: "80,8080-8089"}
    - {name: exe-only, exe_path: 'weird\\d'}
    - {name: both, open_ports: 443, exe_path_regexp: server}
    - {name: arguments, exe_path: java, cmd_args: myapp}
    - {name: arguments-only, cmd_args: "--secret"}
"""


def decided(text: str, candidate: Candidate, *, faithful: bool = False) -> Decision:
    return decide(policy_from(text, faithful=faithful), candidate)


@pytest.mark.parametrize(
    ("candidate", "by"),
    [
        (Candidate(1, exe="/bin/weird33", ports=(8083,)), ["port-only", "exe-only"]),
        (Candidate(2, exe="/bin/weird33"), ["exe-only"]),
        (Candidate(3, exe="/bin/server", ports=(443,)), ["both"]),
        (Candidate(4, exe="/bin/server", ports=(444,)), []),
        (Candidate(5, exe="/bin/other", ports=(443,)), []),
        (Candidate(6, exe="/bin/clientweird99", ports=(80,)), ["port-only", "exe-only"]),
        (Candidate(7, exe="/bin/java", argv=("java", "-jar", "myapp.jar")), ["arguments"]),
        (Candidate(8, exe="/bin/java", argv=("java", "-jar", "other.jar")), []),
        (Candidate(9, exe="/bin/x", argv=("x", "--secret")), ["arguments-only"]),
        (Candidate(10, exe="/bin/x", argv=("--secret",)), []),
    ],
)
def test_mixed_list(candidate: Candidate, by: list[str]) -> None:
    policy = policy_from(MIXED)
    names = {each.where: each.name for each in policy.finding}
    assert [names[each.where] for each in decide(policy, candidate).matched] == by


@pytest.mark.parametrize(
    ("language", "selected"),
    [("go", True), ("java", True), ("rust", True), ("cpp", False), ("unknown", False)],
)
def test_languages(language: str, selected: bool) -> None:
    text = "discovery: {services: [{languages: 'go|java'}, {languages: rust}]}"
    candidate = Candidate(1, exe="/bin/x", language=language)
    assert decided(text, candidate).is_selected is selected


def test_below_system_paths_there_is_no_language() -> None:
    text = "discovery: {instrument: [{languages: cpp}]}"
    nginx = Candidate(1, exe="/usr/sbin/nginx", language="cpp")
    (condition,) = decided(text, nginx).criteria[0].conditions
    assert (condition.holds, condition.actual) == (False, "unknown")
    assert condition.note == "it is cpp, but below /usr/sbin/ no language is looked for"
    cleared = text.replace("{instrument", "{excluded_linux_system_paths: [], instrument")
    assert decided(cleared, nginx).is_selected


def test_an_exclusion_removes_the_matches_of_every_criterion() -> None:
    text = MIXED + "  exclude_services:\n    - {exe_path: s}\n"
    server = decided(text, Candidate(3, exe="/bin/server", ports=(443,)))
    assert server.verdict == "excluded"
    assert server.reason == "excluded by discovery.exclude_services[0]: exe s"
    assert server.service is None
    assert decided(text, Candidate(1, exe="/bin/weird33", ports=(80,))).is_selected


def test_what_no_criterion_wants_is_not_excluded() -> None:
    text = MIXED + "  exclude_services:\n    - {exe_path: s}\n"
    decision = decided(text, Candidate(1, exe="/bin/sleep"))
    assert decision.verdict == "not selected"
    assert decision.excluded_by is not None


def test_exclusion_by_metadata() -> None:
    text = """
discovery:
  instrument: [{open_ports: 80}]
  exclude_instrument: [{k8s_namespace: kube-*}]
"""
    plain = Candidate(1, exe="/bin/x", ports=(80,))
    system = Candidate(1, exe="/bin/x", ports=(80,), metadata={"k8s_namespace": "kube-public"})
    assert decided(text, plain).verdict == "selected"
    assert decided(text, system).verdict == "excluded"


@pytest.mark.parametrize(
    ("changes", "failure"),
    [
        ({}, None),
        ({"exe": "/bin/bar"}, "exe_path"),
        ({"ports": (81,)}, "open_ports"),
        ({"metadata": {"k8s_namespace": "shop"}}, "k8s_pod_name"),
        ({"metadata": {}}, "k8s_namespace"),
        ({"metadata": {"k8s_namespace": "other", "k8s_pod_name": "web-1"}}, "k8s_namespace"),
        ({"pod_labels": {"app": "api"}}, "app"),
        ({"exe": "/bin/bar", "ports": ()}, "exe_path"),
        ({"argv": ("x",)}, "cmd_args"),
    ],
)
def test_all_conditions_must_hold_and_the_first_failure_is_told(
    changes: dict[str, Any], failure: str | None
) -> None:
    text = """
discovery:
  instrument:
    - {open_ports: 80, exe_path: "*/foo", cmd_args: "--prod*", k8s_namespace: shop,
       k8s_pod_name: "web*", k8s_pod_labels: {app: web}}
"""
    fitting: dict[str, Any] = {
        "exe": "/bin/foo",
        "argv": ("foo", "--prod", "1"),
        "ports": (22, 80),
        "metadata": {"k8s_namespace": "shop", "k8s_pod_name": "web-1"},
        "pod_labels": {"app": "web"},
    }
    (trace,) = decided(text, Candidate(1, **{**fitting, **changes})).criteria
    assert trace.matched is (failure is None)
    assert (trace.first_failure and trace.first_failure.name) == failure
    assert [each.name for each in trace.conditions] == [
        "exe_path", "cmd_args", "open_ports", "k8s_namespace", "k8s_pod_name", "app",
    ]  # fmt: skip


@pytest.mark.parametrize("condition", ["exe_path_regexp: server", "containers_only: true"])
def test_what_beyla_takes_for_no_condition(condition: str) -> None:
    text = f"discovery: {{services: [{{{condition}}}]}}"
    plain = Candidate(1, exe="/bin/server", netns="other")
    decision = decided(text, plain)
    assert not decision.is_selected
    failure = decision.criteria[0].first_failure
    assert failure is not None
    assert failure.name == "conditions"
    in_container = Candidate(1, exe="/bin/server", netns="other", metadata={"container_name": "x"})
    assert decided(text, in_container).is_selected


@pytest.mark.parametrize(
    ("netns", "selected"), [("own", False), ("other", True), ("unreadable", True)]
)
def test_containers_only(netns: Any, selected: bool) -> None:
    text = "discovery: {instrument: [{open_ports: 80, containers_only: true}]}"
    candidate = Candidate(1, exe="/bin/x", ports=(80,), netns=netns)
    assert decided(text, candidate).is_selected is selected


def test_pids() -> None:
    text = "discovery: {instrument: [{target_pids: [7, 9]}]}"
    assert [pid for pid in range(12) if decided(text, Candidate(pid)).is_selected] == [7, 9]


def test_a_replaced_executable_matches_by_its_former_path() -> None:
    text = "discovery: {instrument: [{exe_path: '*/nginx'}]}"
    gone = Candidate(1, exe="/usr/bin/nginx (deleted)")
    (condition,) = decided(text, gone).criteria[0].conditions
    assert condition.holds
    assert "Beyla, which keeps it, does not match" in condition.note
    (condition,) = decided(text, gone, faithful=True).criteria[0].conditions
    assert not condition.holds
    raw = "discovery: {instrument: [{exe_path: '* (deleted)'}]}"
    assert decided(raw, gone).is_selected


def test_the_local_port_of_a_connection_counts_for_beyla_only() -> None:
    text = "open_port: 30000-60000"
    client = Candidate(1, exe="/usr/bin/curl", ports=(22,), connection_ports=(43210,))
    (condition,) = decided(text, client).criteria[0].conditions
    assert (condition.holds, condition.actual) == (False, "22")
    assert condition.note == "Beyla would match 43210, the local port of a connection"
    faithful = decided(text, client, faithful=True)
    assert faithful.is_selected
    assert faithful.criteria[0].conditions[0].actual == "22,43210"


def test_arguments_are_everything_behind_the_program() -> None:
    candidate = Candidate(1, exe="/bin/x", argv=("/opt/my app", "a", "b c"))
    text = "discovery: {instrument: [{cmd_args: 'a b c'}]}"
    assert decided(text, candidate).is_selected
    assert not decided(text, candidate, faithful=True).is_selected
    cut = "discovery: {instrument: [{cmd_args: 'app a b c'}]}"
    assert decided(cut, candidate, faithful=True).is_selected


def test_all_matching_criteria_count_and_the_later_one_names() -> None:
    text = """
discovery:
  instrument:
    - {open_ports: 80, name: first, namespace: shop, exports: [metrics]}
    - {exe_path: "*/web", name: second, exports: []}
    - {exe_path: "*"}
"""
    decision = decided(text, Candidate(1, exe="/bin/web", ports=(80,)))
    assert [each.where for each in decision.matched] == [
        f"discovery.instrument[{index}]" for index in range(3)
    ]
    assert decision.service is not None
    assert (decision.service.name, decision.service.namespace) == ("second", "shop")
    assert decision.service.source == "discovery.instrument[1]"
    assert decision.exports == ()
    assert decision.reason == "open_port 80 or exe */web or exe *"


@pytest.mark.parametrize(
    ("environ", "name", "namespace"),
    [
        ({}, "web", ""),
        ({"OTEL_SERVICE_NAME": "own"}, "own", ""),
        ({"OTEL_SERVICE_NAME": "$(POD)"}, "web", ""),
        ({"OTEL_RESOURCE_ATTRIBUTES": "a=b, service.name=res,service.namespace=ns"}, "res", "ns"),
        ({"OTEL_SERVICE_NAME": "own", "OTEL_RESOURCE_ATTRIBUTES": "service.name=res"}, "own", ""),
        ({"OTEL_RESOURCE_ATTRIBUTES": "service.name=$X,,="}, "web", ""),
    ],
)
def test_the_environment_of_the_process_names_it(
    environ: dict[str, str], name: str, namespace: str
) -> None:
    candidate = Candidate(1, exe="/bin/web (deleted)", ports=(80,), environ=environ)
    decision = decided("open_port: 80", candidate)
    assert decision.service is not None
    assert (decision.service.name, decision.service.namespace) == (name, namespace)


def test_a_survey_tells_without_selecting() -> None:
    text = "discovery: {survey: [{exe_path: '*'}], instrument: [{open_ports: 80}]}"
    assert decided(text, Candidate(1, exe="/bin/x")).verdict == "surveyed"
    assert decided(text, Candidate(1, exe="/bin/x", ports=(80,))).verdict == "selected"
    assert decided(text, Candidate(1, exe="/bin/alloy")).verdict == "excluded"


def test_the_trace_reads_as_lines_and_as_data() -> None:
    text = "discovery: {instrument: [{open_ports: 80, exe_path: '*/web'}]}"
    decision = decided(text, Candidate(7, exe="/bin/\x1b[31mapi", ports=(22,)))
    shown = json.loads(json.dumps(decision.as_json()))
    assert (shown["kind"], shown["pid"], shown["verdict"]) == ("decision", 7, "not selected")
    assert shown["criteria"][0]["first_failure"] == "exe_path"
    assert shown["criteria"][0]["conditions"][1] == {
        "condition": "open_ports", "expected": "80", "actual": "22", "result": False,
    }  # fmt: skip
    assert shown["in_force"] == "rule 3: the list discovery.instrument (globs)"
    lines = list(decision.lines())
    assert '      FAIL exe_path: expected glob "*/web", actual "/bin/␛[31mapi"' in lines
    assert "      fail open_ports: expected 80, actual 22" in lines
    assert not any("\x1b" in line for line in lines)


@given(
    st.text(max_size=12), st.lists(st.text(max_size=5), max_size=3),
    st.lists(st.integers(0, 65535), max_size=4), st.booleans(),
)  # fmt: skip
def test_any_process_is_decided_about(
    exe: str, argv: list[str], ports: list[int], faithful: bool
) -> None:
    candidate = Candidate(1, exe=exe, argv=argv, ports=tuple(ports))
    decision = decide(FAITHFUL if faithful else OURS, candidate)
    assert decision.is_selected is (bool(decision.matched) and decision.excluded_by is None)
    assert decision.reason


OURS, FAITHFUL = (policy_from(MIXED, faithful=faithful) for faithful in (False, True))


def test_the_reason_of_the_default() -> None:
    from engine.discovery.config import DiscoveryConfig

    decision = decide(policy_of(DiscoveryConfig()), Candidate(1))
    assert decision.reason == "default: open_ports is none, not any"


def test_a_process_whose_executable_may_not_be_read() -> None:
    """Beyla never takes it for ready; here what is known of it decides."""
    hidden = Candidate(7, ports=(80,), hidden=frozenset({"exe"}))
    assert decide(policy_from("open_port: 80"), hidden).verdict == "selected"
    faithful = decide(policy_from("open_port: 80", faithful=True), hidden)
    assert faithful.verdict == "not selected"
    assert "may not be read" in faithful.reason
