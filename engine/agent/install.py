"""Put a plugin's executable where the agent runs it from, and nothing that was not verified.

The agent's order: if the executable in the working directory has the wanted signature it runs;
else the artifact is downloaded. Stricter than the agent: an executable that does not match and
cannot be downloaded is refused instead of run, an archive is unpacked aside and only moved into
the working directory once all digests are right, and what came out of it is checked too.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from engine.agent.archive import move_over, unpack
from engine.agent.config import ARCHIVE, PluginConfig
from engine.agent.download import download
from engine.agent.verify import is_digest, matches
from engine.core.errors import BoxscopeError, PluginError, UsageError
from engine.core.progress import Progress, say_nothing
from engine.core.sanitise import clean


def check_config(config: PluginConfig) -> None:
    """Refuse a configuration that no file could satisfy.

    Raises:
        UsageError: a digest is none, all are missing, or the detail cannot be in an environment.
    """
    for field, digest in (("sha256", config.sha256), ("signature", config.signature)):
        if digest and not is_digest(digest):
            raise UsageError(
                f"plugin {clean(config.name, 80)}: {field} {clean(digest, 80)!r} is no SHA-256",
                fix="64 hexadecimal digits; the agent compares them as text, so in lower case",
            )
    if not config.wanted_signature:
        raise UsageError(
            f"plugin {clean(config.name, 80)} has neither sha256 nor signature",
            fix="give sha256, as printed by sha256sum",
        )
    if "\0" in config.detail:
        raise UsageError(f"the detail of plugin {clean(config.name, 80)} holds a NUL character")


def is_installed(config: PluginConfig, directory: Path) -> bool:
    """Whether the executable is in the working directory and has the wanted signature."""
    return matches(directory / config.name, config.wanted_signature)


def install_config(
    config: PluginConfig,
    directory: Path,
    *,
    cancelled: Callable[[], bool] = lambda: False,
    progress: Progress = say_nothing,
) -> Path:
    """Make sure the plugin's verified executable is in its working directory.

    Args:
        config: What is wanted; `check_config` has accepted it.
        directory: The working directory; made if it is missing.
        cancelled: Asked while downloading; True gives up.
        progress: Told how much of it has come.

    Returns:
        The executable.

    Raises:
        PluginError: it is not to be had; the message says why.
    """
    executable = directory / config.name
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for legacy in (f"{config.name}.stderr", f"{config.name}.stdout"):
            (directory / legacy).unlink(missing_ok=True)
        if not is_installed(config, directory):
            _require_source(config, executable)
            _fetch(config, directory, cancelled, progress)
        executable.chmod(0o700)
    except BoxscopeError:
        raise
    except OSError as error:
        raise PluginError(
            f"cannot install plugin {config.name}: {clean(str(error), 300)}"
        ) from error
    return executable


def _require_source(config: PluginConfig, executable: Path) -> None:
    shown = clean(str(executable))
    if not config.download_urls:
        if executable.exists():
            raise PluginError(
                f"plugin {config.name} is refused: {shown} does not have the SHA-256 "
                f"{config.wanted_signature} and there are no download_urls; "
                "a real agent would run it all the same",
                fix="give its sha256sum as signature, or URLs to download it from",
            )
        raise PluginError(
            f"plugin {config.name} is not installed: {shown} does not exist "
            "and there are no download_urls",
            fix="put the executable there, or give URLs to download it from",
        )
    if not config.sha256:
        raise PluginError(
            f"plugin {config.name} cannot be downloaded: it has no sha256",
            fix="give the SHA-256 of what the URLs deliver",
        )
    if config.type != ARCHIVE and config.wanted_signature != config.sha256:
        raise PluginError(
            f"plugin {config.name} is refused: sha256 and signature differ, but are both of "
            "the same single executable; a real agent would run it unchecked",
            fix=f"leave signature empty, or set type to {ARCHIVE} if it is an archive",
        )


def _fetch(
    config: PluginConfig, directory: Path, cancelled: Callable[[], bool], progress: Progress
) -> None:
    """Download beside the working directory, then move what was verified into it."""
    with tempfile.TemporaryDirectory(prefix=f".{config.name}-", dir=directory.parent) as made:
        aside = Path(made)
        artifact = aside / "artifact"
        try:
            download(
                config.download_urls,
                config.sha256,
                artifact,
                cancelled=cancelled,
                progress=progress,
            )
            if config.type != ARCHIVE:
                artifact.replace(directory / config.name)
                return
            tree = aside / "tree"
            tree.mkdir(mode=0o700)
            unpack(artifact, tree)
            _check_unpacked(config, tree)
            move_over(tree, directory)
        except PluginError as error:
            raise type(error)(f"plugin {config.name}: {error.message}", fix=error.fix) from error


def _check_unpacked(config: PluginConfig, tree: Path) -> None:
    executable = tree / config.name
    if not executable.is_file():
        raise PluginError(
            f"its archive holds no file {config.name}",
            fix="the executable has the plugin's name and no directory",
        )
    # Without a signature the archive's own digest vouches for what is in it.
    if config.signature and not matches(executable, config.signature):
        raise PluginError(
            f"the executable in its archive does not have the SHA-256 {config.signature}",
            fix="signature is the sha256sum of the executable, sha256 that of the archive",
        )


def install_copy(executable: Path, target: Path) -> Path:
    """Copy a plugin's file to where an agent would have put it; returns `target`.

    Raises:
        PluginError: it cannot be copied.
    """
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        shutil.copyfile(executable, target)
        target.chmod(0o700)
    except OSError as error:
        raise PluginError(
            f"cannot copy {clean(str(executable))}: {error.strerror}",
            fix="give the path of an executable file",
        ) from error
    return target


def remove_directory(directory: Path, parent: Path) -> bool:
    """Delete a working directory, but only directly below `parent` and if it is no link.

    Returns:
        Whether it is gone now.
    """
    try:
        inside = directory.parent.resolve(strict=True) == parent.resolve(strict=True)
    except OSError:
        return not directory.exists()
    if not inside or directory.is_symlink():
        return False
    shutil.rmtree(directory, ignore_errors=True)
    return not directory.exists()
