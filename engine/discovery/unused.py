"""Options of Beyla's that are read and have no effect here, each with the reason.

They are about instrumenting and exporting; here processes are found, told of and captured.
"""

from __future__ import annotations

from collections.abc import Mapping

_NO_TRACERS = "no tracer is put into a process here"
_NO_EXPORT = "nothing is exported here"
_NO_ROUTES = "no routes are collected here"

UNUSED: Mapping[str, str] = {
    "skip_go_specific_tracers": _NO_TRACERS,
    "bpf_pid_filter_off": "capture is always limited to the processes that are attached",
    "exclude_otel_instrumented_services":
        "it silences what Beyla exports of a process, and nothing is exported here",
    "exclude_otel_instrumented_services_span_metrics": _NO_EXPORT,
    "default_otlp_grpc_port": "it tells Beyla which processes export by themselves, and nothing "
        "is exported here",
    "process_context_poll_interval": "the context that a process publishes is not read here",
    "route_harvester_timeout": _NO_ROUTES,
    "disabled_route_harvesters": _NO_ROUTES,
    "route_harvester_advanced": _NO_ROUTES,
}  # fmt: skip
"""Keys of the `discovery:` section."""

_VARIABLES: Mapping[str, str] = {
    key.upper(): key
    for key in UNUSED
    if key not in ("disabled_route_harvesters", "route_harvester_advanced")
} | {"JAVA_ROUTE_HARVEST_DELAY": "route_harvester_advanced"}
"""The same as variables, without their prefix; some keys have none."""

_REMOVED = {
    "SYSTEM_WIDE": "Beyla has not read it since 2.3",
    "ALLOW_SELF_INSTRUMENTATION": "Beyla has not read it since 1.9",
}

UNUSED_OUTPUTS: Mapping[str, str] = {
    "exports": _NO_EXPORT,
    "sampler": _NO_EXPORT,
    "routes": _NO_EXPORT,
    "metrics": _NO_EXPORT,
    "socket_apps": "what is surveyed is listed, whatever it speaks",
}
"""Keys of a criterion that are no conditions."""


def why_unused(key: str) -> str:
    """What is said about a key of the section or of a criterion."""
    return f"is read, not used here, because {UNUSED.get(key) or UNUSED_OUTPUTS[key]}"


def unused_variables(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables that are set and have no effect here, with what is said about each."""
    found: dict[str, str] = {}
    for prefix in ("BEYLA_", "OTEL_EBPF_"):
        for suffix, key in _VARIABLES.items():
            if environ.get(prefix + suffix):
                found[prefix + suffix] = why_unused(key)
    for suffix, why in _REMOVED.items():
        if environ.get(f"BEYLA_{suffix}"):
            found[f"BEYLA_{suffix}"] = f"is set and ignored: {why}"
    return found
