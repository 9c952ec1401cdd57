#!/bin/sh
# Every test, in two halves beside each other: what looks at the kernel and at the whole box, and
# the rest. Each half is one pytest; the second one's output follows the first one's.
set -eu
cd "$(dirname "$0")/.."

BOX="tests/kernel tests/go tests/unit/discovery"

rest=$(mktemp)
trap 'rm -f "$rest"' EXIT
.venv/bin/pytest --ignore=tests/kernel --ignore=tests/go --ignore=tests/unit/discovery \
    -o cache_dir=.pytest_cache/rest >"$rest" 2>&1 &
# shellcheck disable=SC2086
.venv/bin/pytest $BOX && box=0 || box=$?
wait $! && other=0 || other=$?
cat "$rest"
[ "$box" = 0 ] && [ "$other" = 0 ]
