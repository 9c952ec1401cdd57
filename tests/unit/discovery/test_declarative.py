"""OBI's declarative configuration: its rules become the lists of the first form."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from engine.core.errors import UsageError
from engine.discovery.config import DiscoveryConfig, load_config
from engine.discovery.policy import policy_of


def load(tmp_path: Path, capture: object) -> DiscoveryConfig:
    path = tmp_path / "obi.yaml"
    document = {"file_format": "1.0", "extensions": {"obi": {"capture": capture}}}
    path.write_text(yaml.safe_dump(document))
    return load_config(path, {})


def rule(action: str, **process: object) -> dict[str, object]:
    return {"action": action, "match": {"process": process}}


def test_rules_include_and_exclude(tmp_path: Path) -> None:
    rules = [
        rule("exclude", exe_path_glob=["/usr/lib/*", "*/obi"]),
        rule("include", open_ports="80,8000-8999"),
        rule("include", exe_path_glob=["*python*"], language_glob=["go", "python"]),
    ]
    config = load(tmp_path, {"rules": rules})
    policy = policy_of(config)
    assert policy.rule == 3
    assert [(each.where, str(each)) for each in policy.finding] == [
        ("capture.rules[2]", "exe *python* and language {go,python}"),
        ("capture.rules[1]", "open_port 80,8000-8999"),
    ], "the name of the first rule that matches counts, so it comes last"
    assert [str(each) for each in policy.excluding] == ["exe {/usr/lib/*,*/obi}"]


def test_regular_expressions_make_the_other_lists(tmp_path: Path) -> None:
    rules = [
        {"action": "exclude", "match": {"kubernetes": {"namespace_regex": "kube-.*"}}},
        rule("include", exe_path_regex="^/srv/", cmd_args_regex="serve"),
    ]
    policy = policy_of(load(tmp_path, {"rules": rules}))
    assert policy.rule == 2
    assert [str(each) for each in policy.finding] == ["exe ^/srv/ and args serve"]
    assert [str(each) for each in policy.excluding] == ["k8s_namespace kube-.*"]


def test_pods_are_told_apart(tmp_path: Path) -> None:
    pods = {
        "metadata_glob": {"k8s.deployment.name": ["shop*"]},
        "pod_labels": {"app": ["a", "b"]},
        "pod_annotations": {"x.y/z": "true"},
    }
    rules = [{"action": "include", "match": {"kubernetes": pods}}]
    (criterion,) = load(tmp_path, {"rules": rules}).instrument
    assert str(criterion) == "k8s_deployment_name shop* and app {a,b} and x.y/z true"


@pytest.mark.parametrize(
    ("capture", "selected"),
    [
        ({}, ["exe *"]),
        ({"policy": {"default_action": "exclude"}}, []),
        ({"rules": [rule("exclude", open_ports="80")]}, ["exe *"]),
        ({"rules": [rule("include", open_ports="80")]}, ["open_port 80"]),
        (
            {
                "policy": {"default_action": "include"},
                "rules": [rule("include", open_ports="80")],
            },
            ["open_port 80", "exe *"],
        ),
    ],
    ids=["nothing", "excluding", "an exclusion", "an inclusion", "including"],
)
def test_what_no_rule_is_about(tmp_path: Path, capture: object, selected: list[str]) -> None:
    assert [str(each) for each in load(tmp_path, capture).instrument] == selected


def test_built_in_exclusions_hold_where_there_are_no_rules(tmp_path: Path) -> None:
    assert load(tmp_path, {}).default_exclude_instrument
    rules = [rule("include", open_ports="80")]
    assert not load(tmp_path, {"rules": rules}).default_exclude_instrument


def test_durations_and_exports(tmp_path: Path) -> None:
    refined = rule("include", open_ports="80")
    refined["refine"] = {"exports": {"traces": True, "metrics": False}}
    exporters = rule("exclude", exports_otlp={"port": 4317, "protocol": "protobuf"})
    policy = {"poll_interval": "500ms", "min_process_age": "0s"}
    config = load(tmp_path, {"policy": policy, "rules": [exporters, refined]})
    assert (config.poll_interval_s, config.min_process_age_s) == (0.5, 0)
    (criterion,) = config.instrument
    assert criterion.exports == ("traces",)
    assert "not used here" in config.origins["exports_otlp"].note
    assert not config.exclude_instrument


@pytest.mark.parametrize(
    ("rules", "message"),
    [
        ([rule("drop", open_ports="80")], "unsupported value 'drop'"),
        ([{"match": {"process": {"open_ports": "80"}}}], "no action"),
        ([rule("include")], "at least one selector"),
        ([rule("include", exe_path="x")], "unknown selector exe_path"),
        ([rule("include", exe_path_glob=["a"], cmd_args_regex="b")], "cannot combine"),
        ([rule("exclude", exe_path_glob=["a"]), rule("include", exe_path_regex="b")], "be mixed"),
        ([rule("include", open_ports="1"), rule("exclude", open_ports="2")], "first_match_wins"),
        ([rule("exclude", open_ports="1") | {"refine": {"http": {}}}], "refine is not supported"),
        ([rule("include", exports_otlp={"port": 4317})], "only supported for exclude"),
        ([rule("include", exe_path_glob=["["])], r"rules\[0\]\.match\.process\.exe_path_glob"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, rules: object, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        load(tmp_path, {"rules": rules})
    assert "obi.yaml:" in caught.value.message
