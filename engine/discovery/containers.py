"""What container runtimes leave on the box about a container: its name, pod and namespace.

Read from the runtimes' own state files, so no daemon is asked: Docker's config.v2.json, the OCI
bundle of containerd (annotations io.kubernetes.cri.*), and containers/storage of CRI-O and Podman
(annotations io.kubernetes.*, containers.json). They are root's; without rights nothing is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

_Json: TypeAlias = "Mapping[str, _Json] | Sequence[_Json] | str | int | float | bool | None"

_LARGEST_FILE = 4 << 20
_KEYS = {
    "container_name": (
        "io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name",
    ),
    "k8s_container_name": ("io.kubernetes.cri.container-name", "io.kubernetes.container.name"),
    "k8s_pod_name": ("io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"),
    "k8s_namespace": ("io.kubernetes.cri.sandbox-namespace", "io.kubernetes.pod.namespace"),
}  # fmt: skip
"""Criterion key -> annotations or labels that hold its value, first one wins."""


_CACHE_SIZE = 1024


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    """What is known of a container."""

    metadata: Mapping[str, str] = field(default_factory=dict)
    """By criterion key: container_name, k8s_namespace, ..."""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)


_known: dict[tuple[str, Path], ContainerFacts] = {}


def container_facts(container: str, root: Path = Path("/")) -> ContainerFacts:
    """What is known of the container with this full id; nothing if no runtime left anything.

    What was found is remembered. What was not is looked for again: a runtime may write its state
    a moment after the first process has begun.

    Args:
        container: The id, 64 hexadecimal digits.
        root: Where the file system of the box begins.
    """
    known = _known.get((container, root))
    if known is None:
        known = _look(container, root)
        if known.metadata:
            if len(_known) >= _CACHE_SIZE:
                _known.clear()
            _known[container, root] = known
    return known


def _look(container: str, root: Path) -> ContainerFacts:
    docker = _read(root / "var/lib/docker/containers" / container / "config.v2.json")
    if docker:
        return _of_docker(docker)
    for bundle in _bundles(container, root):
        annotations = _texts(_read(bundle / "config.json").get("annotations"))
        if annotations:
            return _of_annotations(annotations)
    name = _podman_name(container, root)
    return ContainerFacts({"container_name": name} if name else {})


def _bundles(container: str, root: Path) -> Iterator[Path]:
    for namespace in ("k8s.io", "moby", "default"):
        yield root / "run/containerd/io.containerd.runtime.v2.task" / namespace / container
    for storage in ("run/containers/storage", "var/lib/containers/storage"):
        yield root / storage / "overlay-containers" / container / "userdata"


def _of_docker(config: Mapping[str, _Json]) -> ContainerFacts:
    own = config.get("Config")
    labels = _texts(own.get("Labels")) if isinstance(own, Mapping) else {}
    metadata = dict(_of_annotations(labels).metadata)
    name = config.get("Name")
    if isinstance(name, str) and name:
        metadata["container_name"] = name.removeprefix("/")
    return ContainerFacts(metadata)


def _of_annotations(annotations: Mapping[str, str]) -> ContainerFacts:
    metadata = {
        key: value
        for key, names in _KEYS.items()
        if (value := next((annotations[name] for name in names if annotations.get(name)), ""))
    }
    return ContainerFacts(
        metadata,
        _texts(_parsed(annotations.get("io.kubernetes.cri-o.Labels", ""))),
        _texts(_parsed(annotations.get("io.kubernetes.cri-o.Annotations", ""))),
    )


def _podman_name(container: str, root: Path) -> str:
    path = root / "var/lib/containers/storage/overlay-containers/containers.json"
    listed = _parsed(_text(path))
    for entry in listed if isinstance(listed, Sequence) and not isinstance(listed, str) else ():
        if isinstance(entry, Mapping) and entry.get("id") == container:
            names = entry.get("names")
            if isinstance(names, Sequence) and names:
                return str(names[0])
    return ""


def _read(path: Path) -> Mapping[str, _Json]:
    found = _parsed(_text(path))
    return found if isinstance(found, Mapping) else {}


def _text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.read(_LARGEST_FILE)
    except OSError:
        return ""


def _parsed(text: str) -> _Json:
    try:
        found: _Json = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found


def _texts(value: _Json) -> dict[str, str]:
    """The members of a mapping that are texts."""
    if not isinstance(value, Mapping):
        return {}
    return {key: each for key, each in value.items() if isinstance(each, str)}
