"""What Beyla 3 excludes unless it is told otherwise: collectors, itself, system namespaces."""

from __future__ import annotations

from engine.discovery.criteria import Criterion, Dialect, Pattern, compile_pattern
from engine.discovery.document import Place
from engine.discovery.trace import BUILT_IN

_DEFAULT_GLOB = (
    "{*beyla,*alloy,*prometheus-config-reloader,*ebpf-instrument,*obi,*otelcol,*otelcol-contrib,"
    "*otelcol-contrib[!/]*}"
)
_DEFAULT_REGEXP = r"(?:^|/)(beyla$|alloy$|prometheus-config-reloader$|otelcol[^/]*$)"
_DEFAULT_NAMESPACES = (
    "kube-system", "kube-node-lease", "local-path-storage", "cert-manager", "gke-connect",
    "gke-gmp-system", "gke-managed-cim", "gke-managed-filestorecsi", "gke-managed-metrics-server",
    "gke-managed-system", "gke-managed-volumepopulator", "gke-system", "gatekeeper-system",
)  # fmt: skip
_NAMESPACES_NOT_SURVEYED = ("grafana-alloy", "monitoring")
_DEFAULT_CONTAINERS = (
    "{beyla,ebpf-instrument,obi,alloy,prometheus-config-reloader,otelcol,otelcol-contrib}"
)


def excluded_by_globs(surveyed: bool) -> tuple[Criterion, ...]:
    """The default of `default_exclude_instrument`.

    Args:
        surveyed: Whether there is a survey, which sees two namespaces more.
    """
    listed = "{" + ",".join(_namespaces(surveyed)) + "}"
    metadata = (("k8s_namespace", listed), ("k8s_container_name", _DEFAULT_CONTAINERS))
    return _built_in("default_exclude_instrument", "glob", _DEFAULT_GLOB, metadata)


def excluded_by_expressions(surveyed: bool) -> tuple[Criterion, ...]:
    """The default of `default_exclude_services`, which knows no container names."""
    listed = "|".join(
        f"^{name}" + ("" if name == "gatekeeper-system" else "$") for name in _namespaces(surveyed)
    )
    metadata = (("k8s_namespace", listed),)
    return _built_in("default_exclude_services", "regexp", _DEFAULT_REGEXP, metadata)


def _namespaces(surveyed: bool) -> tuple[str, ...]:
    return _DEFAULT_NAMESPACES + (() if surveyed else _NAMESPACES_NOT_SURVEYED)


def _built_in(
    section: str,
    dialect: Dialect,
    exe: str,
    metadata: tuple[tuple[str, str], ...],
) -> tuple[Criterion, ...]:
    place = Place(f"{BUILT_IN}{section}")

    def compiled(text: str) -> Pattern:
        return compile_pattern(dialect, text, place)

    return (
        Criterion(f"{BUILT_IN}{section}[0]", dialect, exe_path=compiled(exe)),
        *(
            Criterion(f"{BUILT_IN}{section}[{index}]", dialect, metadata=((key, compiled(text)),))
            for index, (key, text) in enumerate(metadata, start=1)
        ),
    )
