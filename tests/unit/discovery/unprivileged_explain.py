"""Run as root: what an unprivileged user is told about a process, as one JSON line."""

from __future__ import annotations

import json
import os
import sys

from engine.discovery.config import load_config
from engine.discovery.explain import explain
from engine.discovery.policy import policy_of

NOBODY = 65534


def main(pid: int) -> None:
    """Give up root and explain."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
    policy = policy_of(load_config(None, {"BEYLA_AUTO_TARGET_EXE": "*", "BEYLA_OPEN_PORT": "1"}))
    sys.stdout.write(json.dumps(explain(pid, policy).as_json()))


if __name__ == "__main__":
    main(int(sys.argv[1]))
