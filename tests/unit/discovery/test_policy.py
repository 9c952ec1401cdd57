"""Which lists are in force, and what is said about the rest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from engine.discovery.candidate import Candidate
from engine.discovery.config import DiscoveryConfig, load_config
from engine.discovery.evaluate import decide
from engine.discovery.policy import policy_of
from tests.unit.discovery.yaml_policy import policy_from

PROCESSES = (
    Candidate(1, exe="/bin/must-pass", ports=(1234,)),
    Candidate(2, exe="/bin/also-pass", ports=(80,)),
    Candidate(3, exe="/bin/dont-pass", ports=(8080,)),
    Candidate(4, exe="/bin/neither-pass", ports=(9090,)),
)
INSTRUMENT = "discovery: {instrument: [{exe_path: '*/must-pass'}, {exe_path: '*/also-pass'}]}"
SERVICES = "discovery: {services: [{exe_path: must-pass}, {exe_path: also-pass}]}"
TARGET = {"BEYLA_AUTO_TARGET_EXE": "{*/must-pass,*/also-pass}"}


@pytest.mark.parametrize(
    ("rule", "text", "environ"),
    [
        pytest.param(3, INSTRUMENT, {}, id="instrument"),
        pytest.param(
            3,
            "discovery: {instrument: [{exe_path: '*-pass'}], "
            "exclude_instrument: [{exe_path: '*/{dont,neither}-pass'}]}",
            {},
            id="instrument with excludes",
        ),
        pytest.param(
            3,
            "discovery: {instrument: [{exe_path: '*/must-pass'}, {exe_path: '*/also-pass'}], "
            "services: [{exe_path: dont-pass}], exclude_services: [{exe_path: must-pass}]}",
            {},
            id="instrument beats services",
        ),
        pytest.param(
            3,
            "discovery: {instrument: [{exe_path: '*/must-pass'}]}",
            {"BEYLA_AUTO_TARGET_EXE": "*/also-pass"},
            id="instrument and AUTO_TARGET_EXE",
        ),
        pytest.param(
            3,
            "discovery: {instrument: [{exe_path: '*/must-pass'}]}",
            {"BEYLA_OPEN_PORT": "80"},
            id="instrument and a port",
        ),
        pytest.param(
            3, f"executable_path: dont-pass\n{INSTRUMENT}", {}, id="instrument, top-level regexp"
        ),
        pytest.param(2, SERVICES, {}, id="services"),
        pytest.param(
            2,
            "discovery: {services: [{exe_path: -pass}], "
            "exclude_services: [{exe_path: dont-pass}, {exe_path: neither}]}",
            {},
            id="services with excludes",
        ),
        pytest.param(2, SERVICES, {"BEYLA_AUTO_TARGET_EXE": "*"}, id="services, AUTO_TARGET_EXE"),
        pytest.param(
            2,
            "discovery: {services: [{exe_path: must-pass}]}",
            {"BEYLA_OPEN_PORT": "80"},
            id="services and a port",
        ),
        pytest.param(
            2,
            "executable_path: must-pass\ndiscovery: {services: [{exe_path: also-pass}]}",
            {},
            id="services and a top-level regexp",
        ),
        pytest.param(4, "log_level: info", TARGET, id="AUTO_TARGET_EXE"),
        pytest.param(5, "executable_path: (must|also)-pass", {}, id="a top-level regexp"),
        pytest.param(4, "executable_path: dont-pass", TARGET, id="AUTO_TARGET_EXE beats a regexp"),
        pytest.param(1, "target_pids: 1-2\nopen_port: 9090", {}, id="target_pids beat everything"),
    ],
)
def test_coexistence(rule: int, text: str, environ: Mapping[str, str]) -> None:
    policy = policy_from(text, environ)
    assert policy.rule == rule
    selected = [each.exe for each in PROCESSES if decide(policy, each).is_selected]
    assert selected == ["/bin/must-pass", "/bin/also-pass"]


def test_nothing_configured_lists_every_process_with_a_port() -> None:
    policy = policy_of(DiscoveryConfig())
    assert (policy.rule, str(policy), policy.excluding) == (0, "any open port", ())
    assert decide(policy, Candidate(1, ports=(80,))).is_selected
    assert not decide(policy, Candidate(1)).is_selected


def test_what_is_typed_alone_excludes_nothing() -> None:
    policy = policy_of(DiscoveryConfig().with_selectors(open_port="80", exe="*/alloy"))
    assert (policy.rule, str(policy)) == (4, "open_port 80 and exe */alloy")
    assert decide(policy, Candidate(1, exe="/bin/alloy", ports=(80,))).is_selected


def test_executable_and_port_at_top_level_must_both_hold() -> None:
    policy = policy_from("executable_path: nginx\nopen_port: 80")
    assert decide(policy, Candidate(1, exe="/bin/nginx", ports=(80,))).is_selected
    assert not decide(policy, Candidate(1, exe="/bin/nginx", ports=(81,))).is_selected
    assert not decide(policy, Candidate(1, exe="/bin/apache", ports=(80,))).is_selected


def test_a_port_alone_is_an_expression_entry_with_glob_exclusions() -> None:
    policy = policy_of(load_config(None, {"BEYLA_OPEN_PORT": "80"}))
    assert policy.rule == 5
    assert [each.dialect for each in policy.finding] == ["regexp"]
    assert {each.dialect for each in policy.excluding} == {"glob"}
    assert decide(policy, Candidate(1, exe="/usr/bin/mobi", ports=(80,))).verdict == "excluded"
    assert policy.ports_from == "BEYLA_OPEN_PORT"


def notes(text: str, environ: Mapping[str, str] | None = None) -> str:
    return "\n".join(policy_from(text, environ).notes)


def test_services_with_exclude_instrument_are_ignored_and_that_is_said() -> None:
    text = (
        "discovery: {services: [{exe_path: x}], exclude_instrument: [{exe_path: y}]}\nopen_port: 80"
    )
    policy = policy_from(text)
    assert (policy.rule, str(policy)) == (5, "open_port 80")
    assert "services (" in notes(text)
    assert "exclude_instrument takes services out of force" in notes(text)


def test_exclude_services_with_auto_target_exe_select_nothing_and_that_is_said() -> None:
    text = "discovery: {exclude_services: [{exe_path: y}]}"
    policy = policy_from(text, TARGET)
    assert (policy.rule, policy.finding) == (2, ())
    assert "nothing can be selected" in notes(text, TARGET)
    assert "auto_target_exe (BEYLA_AUTO_TARGET_EXE) is ignored" in notes(text, TARGET)
    assert decide(policy, PROCESSES[0]).reason == "the list of criteria is empty"


def test_pids_alone_are_not_enough_for_beyla() -> None:
    assert "refuses to start with target_pids alone" in notes("target_pids: 1")
    assert "refuses" not in notes("target_pids: 1\nopen_port: 80")


def test_no_selector_at_all() -> None:
    assert "there is no selector at all" in notes("log_level: info")
    policy = policy_from("log_level: info")
    assert not decide(policy, Candidate(1, exe="/bin/x", ports=(80,))).is_selected
    in_container = Candidate(1, exe="/bin/x", metadata={"container_name": "web"})
    assert decide(policy, in_container).is_selected


def test_the_appended_entry_comes_last_and_its_name_wins() -> None:
    text = (
        "service_name: top\nopen_port: 80\n"
        "discovery: {instrument: [{exe_path: '*/nginx', name: web, namespace: shop}]}"
    )
    decision = decide(policy_from(text), Candidate(1, exe="/bin/nginx", ports=(80,)))
    assert decision.service is not None
    assert (decision.service.name, decision.service.namespace) == ("top", "shop")
    assert "comes last, so its name and namespace win" in notes(text)


def test_criteria_that_never_match_are_told() -> None:
    text = "discovery: {instrument: [{open_ports: 80}, {open_ports: 90-80}, {exe_path: nginx}]}"
    assert "discovery.instrument[1] never matches: open_ports 90-80" in notes(text)
    assert "discovery.instrument[2] never matches: no path matches 'nginx'" in notes(text)
    assert "instrument[0]" not in notes(text)


def test_overridden_ports_are_told() -> None:
    said = notes("open_port: 80", {"BEYLA_OPEN_PORT": "90"})
    assert "open_port: BEYLA_OPEN_PORT takes the place of 80" in said
    assert "80,90 (--faithful does)" in said


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("discovery: {instrument: [{k8s_namespace: shop}]}", "exe * and k8s_namespace shop"),
        ("discovery: {services: [{k8s_namespace: shop}]}", "exe . and k8s_namespace shop"),
        ("discovery: {instrument: [{k8s_namespace: shop, open_ports: 80}]}",
         "open_port 80 and k8s_namespace shop"),
        ("discovery: {instrument: [{containers_only: true}]}", "in a container"),
    ],
)  # fmt: skip
def test_conditions_on_the_container_alone_get_any_path(text: str, wanted: str) -> None:
    assert str(policy_from(text)) == wanted


def test_what_a_criterion_says_about_exports_has_no_effect_and_that_is_said() -> None:
    text = "discovery: {instrument: [{open_ports: 80, sampler: {name: always_on}}]}"
    assert "discovery.instrument[0]: sampler is read, not used here, because" in notes(text)


@pytest.mark.parametrize(
    ("config", "inherits"),
    [
        (DiscoveryConfig(), False),
        (DiscoveryConfig().with_selectors(open_port="80"), True),
        (DiscoveryConfig().with_selectors(exe="*/nginx"), True),
        (load_config(None, {"BEYLA_OPEN_PORT": "80"}), True),
        (replace(load_config(None, {"BEYLA_OPEN_PORT": "80"}), inherit=False), False),
        (replace(DiscoveryConfig(), inherit=True), True),
    ],
)
def test_children_inherit_where_something_selects_unless_told_otherwise(
    config: DiscoveryConfig, inherits: bool
) -> None:
    assert policy_of(config).inherit is inherits
