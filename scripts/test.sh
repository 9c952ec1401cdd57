#!/bin/sh
# Every test. Those that compare with all of the box have it to themselves first; the others run in
# four processes beside each other, as many of them wait more than they work. tests/conftest.py
# says which tests stay together. With arguments: what these choose.
cd "$(dirname "$0")/.." || exit
beside="-n 4 --dist loadgroup"
# shellcheck disable=SC2086
[ $# -eq 0 ] || exec .venv/bin/pytest $beside "$@"
failed=0
.venv/bin/pytest tests/unit/discovery || failed=$?
# shellcheck disable=SC2086
.venv/bin/pytest $beside --ignore=tests/unit/discovery || failed=$?
exit $failed
