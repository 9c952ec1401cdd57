"""What runtimes leave about a container."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.discovery.containers import container_facts

ID = "0123456789abcdef" * 4
CRI = "run/containerd/io.containerd.runtime.v2.task/k8s.io"
CRIO = "run/containers/storage/overlay-containers"
POD = {
    "container_name": "web",
    "k8s_container_name": "web",
    "k8s_pod_name": "web-7",
    "k8s_namespace": "shop",
}


def write(root: Path, name: str, content: object) -> None:
    path = root / name
    path.parent.mkdir(parents=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def test_docker(tmp_path: Path) -> None:
    labels = {"io.kubernetes.container.name": "web", "io.kubernetes.pod.namespace": "shop"}
    write(
        tmp_path,
        f"var/lib/docker/containers/{ID}/config.v2.json",
        {"Name": "/k8s_web_1", "Config": {"Labels": labels}},
    )
    assert container_facts(ID, tmp_path).metadata == {
        "container_name": "k8s_web_1",
        "k8s_container_name": "web",
        "k8s_namespace": "shop",
    }


def test_containerd(tmp_path: Path) -> None:
    annotations = {
        "io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.sandbox-name": "web-7",
        "io.kubernetes.cri.sandbox-namespace": "shop",
    }
    write(tmp_path, f"{CRI}/{ID}/config.json", {"annotations": annotations})
    assert container_facts(ID, tmp_path).metadata == POD


def test_crio(tmp_path: Path) -> None:
    annotations = {
        "io.kubernetes.container.name": "web",
        "io.kubernetes.pod.name": "web-7",
        "io.kubernetes.pod.namespace": "shop",
        "io.kubernetes.cri-o.Labels": '{"app": "web"}',
        "io.kubernetes.cri-o.Annotations": '{"note": "x"}',
    }
    write(tmp_path, f"{CRIO}/{ID}/userdata/config.json", {"annotations": annotations})
    facts = container_facts(ID, tmp_path)
    assert facts.metadata == POD
    assert (facts.pod_labels, facts.pod_annotations) == ({"app": "web"}, {"note": "x"})


def test_podman(tmp_path: Path) -> None:
    write(
        tmp_path,
        "var/lib/containers/storage/overlay-containers/containers.json",
        [{"id": "f" * 64, "names": ["other"]}, {"id": ID, "names": ["web"]}],
    )
    assert container_facts(ID, tmp_path).metadata == {"container_name": "web"}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"annotations": [1]}', "[" * 9999])
def test_damaged_state_tells_nothing(tmp_path: Path, content: str) -> None:
    write(tmp_path, f"{CRI}/{ID}/config.json", content)
    assert container_facts(ID, tmp_path).metadata == {}


def test_a_container_that_becomes_known_later(tmp_path: Path) -> None:
    assert container_facts(ID, tmp_path).metadata == {}
    config = tmp_path / "var/lib/docker/containers" / ID / "config.v2.json"
    write(tmp_path, str(config.relative_to(tmp_path)), {"Name": "/web"})
    assert container_facts(ID, tmp_path).metadata == {"container_name": "web"}
    config.unlink()
    assert container_facts(ID, tmp_path).metadata == {"container_name": "web"}
