"""Why packages of host and plugin differ, and what makes them the same.

A fingerprint is a digest of what a package exports to a compiler: types, bodies that may be
inlined, and the positions of all that in the sources, names of directories included. So it differs
with the Go version, with some flags of the build, with the version of a module, and, unless both
are built with -trimpath, with the directory it stands in.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from engine.core.sanitise import clean
from engine.modules.buildinfo import Module, module_of, modules_of
from engine.modules.linkage import Build
from engine.modules.outcome import Cause, Difference, Explanation, Group

STANDARD = "standard library"
_UNKNOWN = "unknown"
_ABSENT = "not there"
_LOCAL = "(devel)"
"""Version of what was built from a directory."""


def explain(host: Build, plugin: Build, differences: Sequence[Difference]) -> Explanation:
    """What is behind the differences, and what mends it."""
    groups = tuple(_groups(host, plugin, [clean(each.package, 400) for each in differences]))
    causes = tuple(_causes(host, plugin, groups))
    hint = "" if causes else _hint(host, plugin, groups)
    return Explanation(groups, causes, hint, tuple(_fixes(host, plugin, groups, causes)))


def explain_layout(host: Build, plugin: Build) -> Explanation:
    """What is behind a plugin that describes itself in another form than its host."""
    return Explanation((), tuple(_of_toolchains(host, plugin)), "", (build_command(host),))


def build_command(host: Build) -> str:
    """The command that builds a plugin with the host's Go and flags."""
    settings = host.info.settings if host.info else {}
    switches = ("-trimpath", "-race", "-asan", "-msan", "-cover")
    words = ["go", "build", "-buildmode=plugin"]
    words += [flag for flag in switches if _setting(host, flag) == "true"]
    for flag in ("-coverpkg", "-gcflags", "-tags"):
        if settings.get(flag):
            words.append(shlex.quote(f"{flag}={settings[flag]}"))
    environment = [f"GOEXPERIMENT={_experiment(host)}"] if _experiment(host) else []
    if host.toolchain.release:
        environment.append(f"GOTOOLCHAIN={host.toolchain.release}")
    return " ".join([*environment, *words])


def _groups(host: Build, plugin: Build, packages: Sequence[str]) -> Iterator[Group]:
    """Packages by module, in the order in which they come up."""
    modules = [*(modules_of(plugin.info) if plugin.info else ())]
    owners: dict[str, list[str]] = {}
    for package in packages:
        owner = module_of(package, modules)
        name = owner.path if owner else STANDARD if is_standard(package) else package
        owners.setdefault(name, []).append(package)
    for name, members in owners.items():
        if name == STANDARD:
            versions = host.toolchain.version or _UNKNOWN, plugin.toolchain.version or _UNKNOWN
        else:
            versions = _module_version(host, name), _module_version(plugin, name)
        yield Group(name, *versions, tuple(members))


def is_standard(package: str) -> bool:
    """Whether it is of the standard library: the first element of others' has a dot."""
    return "." not in package.split("/", 1)[0]


def _module_version(build: Build, path: str) -> str:
    """Version of a module, and what a `replace` directive puts in its place."""
    if build.info is None:
        return _UNKNOWN
    found = next((each for each in modules_of(build.info) if each.path == path), None)
    return _shown(found) if found else _ABSENT


def _shown(module: Module) -> str:
    version = module.version or "(no version)"
    if module.replacement is None:
        return version
    other = module.replacement
    its_version = other.version if other.version != _LOCAL else ""
    return f"{version} => {other.path} {its_version}".rstrip()


def _causes(host: Build, plugin: Build, groups: Sequence[Group]) -> Iterator[Cause]:
    standard = any(each.module == STANDARD for each in groups)
    if standard:
        yield from _of_toolchains(host, plugin)
    tags = _setting(host, "-tags"), _setting(plugin, "-tags")
    if tags[0] != tags[1]:
        yield Cause("-tags", *tags)
    for group in groups:
        if group.module != STANDARD and group.host != group.plugin:
            yield Cause(f"version of {group.module}", group.host, group.plugin)


def _of_toolchains(host: Build, plugin: Build) -> Iterator[Cause]:
    versions = host.toolchain.release, plugin.toolchain.release
    if versions[0] != versions[1]:
        yield Cause("Go version", versions[0] or _UNKNOWN, versions[1] or _UNKNOWN)
    experiments = _experiment(host), _experiment(plugin)
    if experiments[0] != experiments[1]:
        yield Cause("GOEXPERIMENT", experiments[0] or "none", experiments[1] or "none")
    for flag in ("-trimpath", "-cover", "-coverpkg", "-gcflags", "-race", "-asan", "-msan"):
        settings = _setting(host, flag), _setting(plugin, flag)
        if settings[0] != settings[1] and not _of_main_alone(flag, *settings):
            yield Cause(flag, *settings)


def _of_main_alone(flag: str, *values: str) -> bool:
    """Whether flags of the compiler are for the named packages only, which are not shared."""
    return flag == "-gcflags" and not any("=" in each.split(" ", 1)[0] for each in values)


def _setting(build: Build, flag: str) -> str:
    """A flag as it was given, or as the file shows it; `no` if it was not."""
    toolchain = build.toolchain
    if flag == "-trimpath":
        return {True: "true", False: "no", None: _UNKNOWN}[toolchain.trimmed]
    if flag.removeprefix("-") in toolchain.instrumented:
        return "true"
    if build.info is None:
        return "true" if flag in toolchain.flags.split() else "no"
    return build.info.settings.get(flag, "no")


def _experiment(build: Build) -> str:
    """Experiments, which stand behind the version."""
    return build.toolchain.version.partition("X:")[2].strip()


def _hint(host: Build, plugin: Build, groups: Sequence[Group]) -> str:
    """Same versions, same flags, and yet different."""
    if any(each.module == STANDARD for each in groups):
        return "the settings are the same: one of the toolchains was changed, or built otherwise"
    if _setting(host, "-trimpath") == _setting(plugin, "-trimpath") == "true":
        return "same version, other content: the modules were built from different sources"
    return (
        "same version: other content, or another directory (module cache, vendor directory, "
        "replaced path), which counts unless both are built with -trimpath"
    )


def _fixes(
    host: Build, plugin: Build, groups: Sequence[Group], causes: Sequence[Cause]
) -> Iterator[str]:
    for group in groups:
        if group.module == STANDARD or group.host in (group.plugin, _UNKNOWN, _ABSENT):
            continue
        version, _, replacement = group.host.partition(" => ")
        if replacement:
            target = "@".join(replacement.split())
            yield shlex.join(["go", "mod", "edit", f"-replace={group.module}={target}"])
        elif version != _LOCAL:
            wanted = f"{group.module}@{version}"
            pinned = shlex.join(["go", "mod", "edit", f"-replace={group.module}={wanted}"])
            yield f"{shlex.join(['go', 'get', wanted])} (or, to insist: {pinned})"
    yield build_command(host)
    if not causes and _setting(host, "-trimpath") != "true":
        yield "build host and plugin both with -trimpath, or in one container from one checkout"
