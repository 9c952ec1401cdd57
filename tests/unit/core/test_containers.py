from __future__ import annotations

import pytest

from engine.core.containers import container_in, container_of

ID = "0123456789ab" + "c" * 52
INNER = "fedcba987654" + "d" * 52


@pytest.mark.parametrize(
    "path",
    [
        f"/docker/{ID}",
        f"/system.slice/docker-{ID}.scope",
        f"/kubepods/burstable/pod6d1f/{ID}",
        f"/kubepods.slice/kubepods-pod6d1f.slice/cri-containerd-{ID}.scope",
        f"/system.slice/kubepods-besteffort.slice:cri-containerd:{ID}",
        f"/kubepods.slice/crio-{ID}.scope",
        f"/kubepods/burstable/pod6d1f/crio-{ID}",
        f"/machine.slice/libpod-{ID}.scope/container",
        f"/libpod_parent/libpod-{ID}",
        f"/system.slice/nerdctl-{ID}.scope",
        f"/docker/{INNER}/system.slice/docker-{ID}.scope/init.scope",
    ],
)
def test_the_innermost_container_is_told_by_its_id(path: str) -> None:
    assert container_in(path) == ID


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/system.slice/nginx.service",
        f"/machine.slice/libpod-conmon-{ID}.scope",
        f"/kubepods.slice/crio-conmon-{ID}.scope",
        f"/user.slice/{ID}0",
        f"/user.slice/a{ID}",
        f"/user.slice/{ID.upper()}",
        f"/user.slice/{ID[:-1]}",
    ],
)
def test_what_no_runtime_names_so_is_no_container(path: str) -> None:
    assert container_in(path) is None


@pytest.mark.parametrize(
    ("cgroups", "found"),
    [
        (f"0::/docker/{ID}\n", ID),
        (f"9:name=systemd:/docker/{ID}\n0::/\n", ID),
        (f"4:memory:/\n0::/system.slice:cri-containerd:{ID}\n", ID),
        ("4:memory:/user.slice\n0::/\n", None),
        ("", None),
    ],
)
def test_a_process_is_in_the_container_that_any_of_its_trees_names(
    cgroups: str, found: str | None
) -> None:
    assert container_of(cgroups) == found
