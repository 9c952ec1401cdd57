"""Beyla's configuration: file and environment, merged."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import UsageError
from engine.discovery.candidate import Candidate
from engine.discovery.config import DiscoveryConfig, load_config
from engine.discovery.evaluate import decide
from engine.discovery.policy import policy_of
from engine.discovery.unused import UNUSED

Load = Callable[..., DiscoveryConfig]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    def loaded(
        text: str, environ: Mapping[str, str] | None = None, *, faithful: bool = False
    ) -> DiscoveryConfig:
        path = tmp_path / "beyla.yaml"
        path.write_text(text)
        return load_config(path, environ or {}, faithful=faithful)

    return loaded


def test_a_file_for_kubernetes_is_said_to_be_one(load: Load) -> None:
    config = load("kind: ConfigMap\ndata: {beyla-config.yml: 'open_port: 80'}\n")
    assert "data of the ConfigMap" in config.origins["kind"].note
    config = load("config: {data: {open_port: 80}}\n")
    assert "config.data" in config.origins["config"].note


def test_a_survey_may_be_limited_to_what_speaks_on_sockets(load: Load) -> None:
    """Known in that list only; what is surveyed is listed here all the same."""
    text = "discovery: {LIST: [{exe_path: /app, socket_apps: {enabled: true}}]}"
    (criterion,) = load(text.replace("LIST", "survey")).survey
    assert criterion.unused == ("socket_apps",)
    with pytest.raises(UsageError, match="unknown attribute"):
        load(text.replace("LIST", "instrument"))


def test_nothing_is_the_defaults() -> None:
    config = load_config(None, {})
    assert not config.is_beyla
    assert not config.open_port.is_set
    assert (config.poll_interval_s, config.min_process_age_s) == (5, 5)
    assert "/usr/sbin/" in config.excluded_linux_system_paths
    assert [each.where for each in config.default_exclude_instrument] == [
        f"built-in default_exclude_instrument[{index}]" for index in range(3)
    ]


def test_the_file_is_read(load: Load) -> None:
    config = load(
        """
open_port: 80,8000-8999
executable_name: server
target_pids: 7-9
service_name: shop
log_level: debug
discovery:
  poll_interval: 2s
  min_process_age: 500ms
  excluded_linux_system_paths: [/opt/]
  exclude_otel_instrumented_services: false
  instrument:
    - open_ports: ${PORTS:-90}
  exclude_services: []
  default_exclude_instrument: null
""",
        {"PORTS": "91,92"},
    )
    assert config.is_beyla
    assert str(config.open_port) == "80,8000-8999"
    assert config.executable_path is not None
    assert config.executable_path.matches("/bin/server2")
    assert str(config.target_pids) == "7-9"
    assert config.service_name == "shop"
    assert (config.poll_interval_s, config.min_process_age_s) == (2, 0.5)
    assert config.excluded_linux_system_paths == ("/opt/",)
    assert str(config.instrument[0]) == "open_port 91,92"
    assert config.default_exclude_instrument == ()
    assert config.default_exclude_services != ()
    assert config.origins["open_port"].name.endswith("beyla.yaml:2: open_port")


def test_the_environment_takes_the_place_of_the_file(load: Load) -> None:
    config = load("open_port: 80", {"BEYLA_OPEN_PORT": "9090"})
    assert str(config.open_port) == "9090"
    origin = config.origins["open_port"]
    assert origin.name == "BEYLA_OPEN_PORT"
    assert "takes the place of 80 from" in origin.note
    assert "80,9090" in origin.note


def test_faithful_adds_the_ports_of_the_environment(load: Load) -> None:
    config = load("open_port: 80", {"BEYLA_OPEN_PORT": "9090"}, faithful=True)
    assert str(config.open_port) == "80,9090"
    assert "added together, as Beyla does" in config.origins["open_port"].note


@pytest.mark.parametrize("faithful", [False, True])
def test_an_empty_variable_counts_for_nothing_and_a_blank_one_unsets(
    load: Load, faithful: bool
) -> None:
    kept = load("open_port: 80", {"BEYLA_OPEN_PORT": ""}, faithful=faithful)
    assert str(kept.open_port) == "80"
    assert not load("open_port: 80", {"BEYLA_OPEN_PORT": " "}, faithful=faithful).open_port.is_set


def test_beylas_variables_come_before_opentelemetrys() -> None:
    both = {"BEYLA_OPEN_PORT": "80", "OTEL_EBPF_OPEN_PORT": "90"}
    assert str(load_config(None, both).open_port) == "80"
    other = {"OTEL_EBPF_OPEN_PORT": "90"}
    assert str(load_config(None, other).open_port) == "90"
    faithful = load_config(None, other, faithful=True)
    assert not faithful.open_port.is_set
    assert "Beyla reads BEYLA_* only" in faithful.origins["OTEL_EBPF_OPEN_PORT"].note


def test_the_other_variables() -> None:
    config = load_config(
        None,
        {
            "BEYLA_EXECUTABLE_NAME": "server$",
            "OTEL_GO_AUTO_TARGET_EXE": "$BASE/*",
            "BASE": "/opt",
            "BEYLA_AUTO_TARGET_LANGUAGE": "{go,rust}",
            "BEYLA_TARGET_PID": "5",
            "OTEL_SERVICE_NAME": "otel",
            "BEYLA_SERVICE_NAME": "beyla",
            "BEYLA_SERVICE_NAMESPACE": "ns",
            "BEYLA_DISCOVERY_POLL_INTERVAL": "1s",
            "BEYLA_MIN_PROCESS_AGE": "1m30s",
        },
    )
    assert config.executable_path is not None
    assert config.auto_target_exe is not None
    assert config.auto_target_exe.text == "/opt/*"
    assert config.auto_target_language is not None
    assert str(config.target_pids) == "5"
    assert (config.service_name, config.service_namespace) == ("otel", "ns")
    assert (config.poll_interval_s, config.min_process_age_s) == (1, 90)


@pytest.mark.parametrize("prefix", ["BEYLA_", "OTEL_EBPF_"])
def test_the_automatic_targets_have_variables_of_both_families(prefix: str) -> None:
    config = load_config(
        None,
        {
            f"{prefix}AUTO_TARGET_EXE": "*/x",
            f"{prefix}AUTO_TARGET_LANGUAGE": "go",
            f"{prefix}TARGET_PID": "7-8",
            "OTEL_GO_AUTO_TARGET_EXE": "*/y",
        },
    )
    assert config.auto_target_exe is not None
    assert config.auto_target_language is not None
    shown = (config.auto_target_exe.text, config.auto_target_language.text, str(config.target_pids))
    assert shown == ("*/x", "go", "7-8")
    assert config.is_beyla


def test_an_interval_of_nothing_is_the_default(load: Load) -> None:
    assert load("discovery: {poll_interval: 0s}").poll_interval_s == 5


@pytest.mark.parametrize("key", list(UNUSED))
def test_what_has_no_effect_says_so(load: Load, key: str) -> None:
    note = load(f"discovery: {{{key}: 1}}").origins[key].note
    assert note.startswith("is read, not used here, because ")


def test_variables_without_effect_say_so() -> None:
    names = (
        "BEYLA_SKIP_GO_SPECIFIC_TRACERS",
        "OTEL_EBPF_BPF_PID_FILTER_OFF",
        "BEYLA_SYSTEM_WIDE",
        "BEYLA_JAVA_ROUTE_HARVEST_DELAY",
        "BEYLA_EXCLUDE_OTEL_INSTRUMENTED_SERVICES",
    )
    config = load_config(None, dict.fromkeys(names, "true"))
    notes = "\n".join(policy_of(config).notes)
    for name in names:
        assert f"{name}: environment is " in notes
    assert not config.is_beyla, "none of them selects anything"


def test_what_is_typed_takes_the_place_of_everything(load: Load) -> None:
    config = load("open_port: 80", {"BEYLA_OPEN_PORT": "81"}, faithful=True)
    typed = config.with_selectors(open_port="82", exe="*/x")
    assert str(typed.open_port) == "82"
    assert typed.origins["open_port"].name == "--open-port"
    assert typed.auto_target_exe is not None
    assert str(config.open_port) == "80,81"


@pytest.mark.parametrize("text", ["99999", "80,0", "90-80", "65536-70000"])
def test_what_is_typed_and_no_port_is_refused_unless_faithful(text: str) -> None:
    with pytest.raises(UsageError, match=r"covers no port") as refused:
        DiscoveryConfig().with_selectors(open_port=text, origin="--open-port")
    assert refused.value.message.startswith("--open-port: ")
    assert "--faithful" in refused.value.fix
    faithful = DiscoveryConfig(faithful=True).with_selectors(open_port=text)
    assert str(faithful.open_port) == text
    assert "which Beyla does not mind" in " ".join(policy_of(faithful).notes)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("open_port: 80;90", "beyla.yaml:1: open_port: invalid int enum"),
        ("executable_path: '('", "beyla.yaml:1: executable_path: invalid regular expression"),
        ("discovery: []", "beyla.yaml:1: discovery: a mapping is wanted"),
        ("discovery:\n  poll_interval: 5", "beyla.yaml:2: discovery.poll_interval: '5' is no"),
        ("discovery:\n  services: ''", "beyla.yaml:2: discovery.services: a list is wanted"),
        ("discovery:\n  instrument:\n  - open_portz: 1",
         "beyla.yaml:3: discovery.instrument[0].open_portz: unknown attribute in "
         "discovery.instrument[0]: open_portz"),
        ("a: [", "beyla.yaml"),
    ],
)  # fmt: skip
def test_an_error_names_the_place(load: Load, text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        load(text)
    assert message in caught.value.message


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("BEYLA_OPEN_PORT", "http"),
        ("BEYLA_TARGET_PID", "x"),
        ("BEYLA_EXECUTABLE_NAME", "("),
        ("BEYLA_AUTO_TARGET_EXE", "["),
        ("BEYLA_MIN_PROCESS_AGE", "5"),
        ("BEYLA_DISCOVERY_POLL_INTERVAL", "-1s"),
    ],
)
def test_an_error_names_the_variable(variable: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"^{variable}: "):
        load_config(None, {variable: value})


@pytest.mark.parametrize(
    ("exe", "excluded"),
    [
        ("/usr/bin/beyla", True), ("beyla", True), ("/opt/alloy", True),
        ("/x/prometheus-config-reloader", True), ("/x/otelcol-contrib", True),
        ("/x/otelcol-contrib123", True), ("/usr/bin/beyla/test", False),
        ("/usr/bin/mybeyla", False), ("/usr/bin/beyla (deleted)", False), ("/bin/alloy2", False),
    ],
)  # fmt: skip
def test_the_default_exclusion_by_expression(exe: str, excluded: bool) -> None:
    path = load_config(None, {}).default_exclude_services[0].exe_path
    assert path is not None
    assert path.matches(exe) is excluded


@pytest.mark.parametrize(
    ("exe", "excluded"),
    [
        ("/usr/bin/beyla", True), ("/usr/bin/mybeyla", True), ("/usr/bin/mobi", True),
        ("/usr/bin/beyla2", False), ("/beyla/app", False), ("/usr/bin/otelcol-custom", False),
        ("/opt/otelcol-contrib-1.2/bin/x", True), ("/usr/bin/beyla (deleted)", False),
    ],
)  # fmt: skip
def test_the_default_exclusion_by_glob(exe: str, excluded: bool) -> None:
    path = load_config(None, {}).default_exclude_instrument[0].exe_path
    assert path is not None
    assert path.matches(exe) is excluded


def test_a_survey_changes_the_default_exclusions(load: Load) -> None:
    def excludes(config: DiscoveryConfig, namespace: str) -> list[bool]:
        return [
            config.default_exclude_instrument[1].metadata[0][1].matches(namespace),
            config.default_exclude_services[1].metadata[0][1].matches(namespace),
        ]

    plain = load("open_port: 80")
    survey = load("discovery:\n  survey:\n  - open_ports: 80")
    assert excludes(plain, "monitoring") == excludes(plain, "kube-system") == [True, True]
    assert excludes(survey, "monitoring") == excludes(survey, "grafana-alloy") == [False, False]
    assert excludes(survey, "kube-system") == [True, True]
    assert excludes(plain, "gatekeeper-system2") == [False, True]


def test_an_unknown_key_of_the_section_is_noted(load: Load) -> None:
    config = load("discovery:\n  instruments:\n  - open_ports: 80\n")
    assert config.instrument == ()
    assert "is no key of discovery" in config.origins["instruments"].note


SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(-1, 70_000), st.sampled_from(
        ["80", "80-90", "*", "[", "(", "go|java", "{go,java}", "/bin/*", "5s", ""]
    ),
)  # fmt: skip
CRITERIA = st.dictionaries(
    st.sampled_from(
        ["open_ports", "exe_path", "languages", "cmd_args", "target_pids", "containers_only",
         "k8s_namespace", "k8s_pod_labels", "exports", "name", "sampler", "exe_path_regexp"]
    ),
    SCALARS | st.lists(SCALARS, max_size=2),
    max_size=3,
)  # fmt: skip
SECTIONS = st.dictionaries(
    st.sampled_from(
        ["instrument", "services", "exclude_instrument", "exclude_services", "survey",
         "default_exclude_services", "poll_interval"]
    ),
    SCALARS | st.lists(CRITERIA, max_size=2),
    max_size=3,
)  # fmt: skip
DOCUMENTS = st.dictionaries(
    st.sampled_from(["open_port", "executable_path", "target_pids", "service_name"]), SCALARS
)


@pytest.mark.fuzz("Beyla's configuration")
@given(DOCUMENTS, SECTIONS, st.booleans())
def test_any_document_is_decided_by_or_refused(
    top: dict[str, object], section: dict[str, object], faithful: bool
) -> None:
    text = yaml.safe_dump({**top, "discovery": section})
    with TemporaryDirectory() as folder:
        path = Path(folder) / "beyla.yaml"
        path.write_text(text)
        try:
            policy = policy_of(load_config(path, {}, faithful=faithful))
        except UsageError:
            return
    candidate = Candidate(1, exe="/bin/x", ports=(80,), argv=("x", "y"))
    decision = decide(policy, candidate, decide(policy, candidate))
    assert decision.reason
    assert list(decision.lines())
