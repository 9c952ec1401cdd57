#!/bin/sh
# Set-up for `make run` and `make test`: a virtual environment with boxscope in it and, where this
# is root on a machine with apt, the distribution's BCC. Says what it installs; a second run
# installs nothing.
set -eu
cd "$(dirname "$0")/.."

say() { printf 'setup: %s\n' "$*"; }

find_python() {
    for candidate in ${PYTHON:-} python3 python3.14 python3.13 python3.12 python3.11; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    say "needs Python 3.11 or newer (apt-get install -y python3 python3-venv)" >&2
    exit 3
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; }

apt_install() {
    say "installing $* (apt-get)"
    if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >.venv-apt.log 2>&1; then
        apt-get update -qq >>.venv-apt.log 2>&1 || true
        if ! DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >>.venv-apt.log 2>&1; then
            tail -n 3 .venv-apt.log
            rm -f .venv-apt.log
            return 1
        fi
    fi
    rm -f .venv-apt.log
}

make_venv() {
    python=$(find_python)
    say "creating .venv with $("$python" --version)"
    if ! "$python" -m venv --clear .venv >/dev/null 2>&1; then
        version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
        if can_install && apt_install "python$version-venv" && "$python" -m venv --clear .venv; then
            return
        fi
        rm -rf .venv
        say "this Python cannot make virtual environments; type: apt-get install -y python$version-venv"
        exit 3
    fi
}

# The parser of HTTP comes as C that is compiled when it is installed.
can_compile() {
    command -v gcc >/dev/null 2>&1 && .venv/bin/python - <<'PYTHON'
import pathlib, sys, sysconfig
sys.exit(not (pathlib.Path(sysconfig.get_path("include")) / "Python.h").exists())
PYTHON
}

need_compiler() {
    can_compile && return
    version=$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])')
    if can_install && apt_install gcc libc6-dev "python$version-dev" && can_compile; then :; else
        say "llhttp has to be compiled; if that fails, as root type: apt-get install -y gcc libc6-dev python$version-dev"
    fi
}

# The stamp holds what the environment was made from: when that changes, it is brought up to date.
stamp=.venv/boxscope-setup
wanted=$(cat pyproject.toml constraints.txt scripts/setup.sh | cksum)
# An environment does not work elsewhere: its commands and boxscope itself are found by path.
place=.venv/boxscope-place
moved() { [ -f "$place" ] && [ "$(cat "$place")" != "$(pwd -P)" ]; }
if [ ! -x .venv/bin/python ] || ! .venv/bin/python -c '' 2>/dev/null || moved; then
    make_venv
fi
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$wanted" ]; then
    need_compiler
    say "installing boxscope and its tools into .venv"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check \
        --constraint constraints.txt --editable '.[dev]'
    pwd -P >"$place"
    printf '%s' "$wanted" >"$stamp"
fi

bcc_found() {
    for folder in /usr/lib/python3/dist-packages /usr/lib/python3*/site-packages; do
        [ -f "$folder/bcc/libbcc.py" ] && return 0
    done
    return 1
}
if ! bcc_found; then
    if can_install && apt_install python3-bpfcc; then :; else
        say "BCC is missing, kernel events will be off; as root type: apt-get install -y python3-bpfcc"
    fi
fi
if ! command -v tcpdump >/dev/null 2>&1; then
    if can_install && apt_install tcpdump; then :; else
        say "tcpdump is missing, the test that compares live traffic with its capture will be skipped; as root type: apt-get install -y tcpdump"
    fi
fi
if ! command -v tmux >/dev/null 2>&1; then
    if can_install && apt_install tmux; then :; else
        say "tmux is missing, the tests that walk through the tour will be skipped; as root type: apt-get install -y tmux"
    fi
fi
if ! command -v strace >/dev/null 2>&1; then
    if can_install && apt_install strace; then :; else
        say "strace is missing, the test that compares its counts will be skipped; as root type: apt-get install -y strace"
    fi
fi
