"""What `plugin.Open` would do with a file in a given program, as a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from engine.core.fields import JsonValue
from engine.core.sanitise import clean

Outcome = Literal[
    "opens", "refused", "kills-host", "hangs", "host-cannot", "not-reached", "unknown"
]

MEANINGS: dict[Outcome, str] = {
    "opens": "opens",
    "refused": "refused",
    "kills-host": "kills the host",
    "hangs": "hangs for ever",
    "host-cannot": "the host cannot open plugins",
    "not-reached": "not reached",
    "unknown": "cannot tell",
}
"""Outcome -> how it is said."""


class Difference(NamedTuple):
    """A package that both have, and not the same."""

    package: str
    host: str
    """Fingerprint in the process, in hexadecimal."""
    plugin: str
    owner: str
    """Real path of the earlier file that brought the package; empty for the host itself."""


@dataclass(frozen=True, slots=True)
class Group:
    """The packages of one module that differ."""

    module: str
    """Module path, or `standard library`."""
    host: str
    """Version in the host."""
    plugin: str
    packages: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """A difference of the builds that makes packages differ."""

    what: str
    """Such as `-trimpath`."""
    host: str
    plugin: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """What is behind a set of differing packages."""

    groups: tuple[Group, ...] = ()
    causes: tuple[Cause, ...] = ()
    """The ones that reach furthest first."""
    hint: str = ""
    """What may be behind it where the builds do not say."""
    fixes: tuple[str, ...] = ()
    """Commands for the plugin's sources."""

    def as_json(self) -> dict[str, JsonValue]:
        """The explanation as an object."""
        return {
            "groups": [
                {
                    "module": each.module,
                    "host": each.host,
                    "plugin": each.plugin,
                    "packages": list(each.packages),
                }
                for each in self.groups
            ],
            "causes": [
                {"what": each.what, "host": each.host, "plugin": each.plugin}
                for each in self.causes
            ],
            "hint": self.hint,
            "fixes": list(self.fixes),
        }


NOTHING = Explanation()
"""Where nothing needs to be explained."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What comes of opening one file."""

    file: str
    """As it was given."""
    outcome: Outcome
    text: str = ""
    """The exact error, or the last words of the process; empty if it opens or nobody speaks."""
    or_texts: tuple[str, ...] = ()
    """What it may say instead, where chance decides."""
    reason: str = ""
    """What is behind it, where the words do not say."""
    differences: tuple[Difference, ...] = ()
    """All packages that differ, the one that is named first."""
    shared: int = 0
    """Packages that both have."""
    explanation: Explanation = NOTHING
    notes: tuple[str, ...] = ()
    """What else to know."""
    overwritten: bool = False
    """Whether the host's memory has been written over by then: it may die at any time, and if it
    dies here, with other words."""
    recoverable: bool = False
    """Whether what kills the host is a panic, which whoever called could recover from."""

    def as_json(self) -> dict[str, JsonValue]:
        """The verdict as an object; its text is sanitised."""
        return {
            "file": clean(self.file, 400),
            "outcome": self.outcome,
            "text": clean(self.text, 2000),
            "or_texts": [clean(each, 2000) for each in self.or_texts],
            "reason": clean(self.reason, 2000),
            "shared_packages": self.shared,
            "differences": [
                {
                    "package": clean(name, 400),
                    "host": host,
                    "plugin": plugin,
                    "owner": clean(owner, 400),
                }
                for name, host, plugin, owner in self.differences
            ],
            "explanation": self.explanation.as_json(),
            "overwritten": self.overwritten,
            "notes": [clean(each, 2000) for each in self.notes],
        }
