#!/bin/sh
# Every test, in three processes beside each other, as many of them wait more than they work.
# tests/conftest.py says which tests stay together.
set -eu
cd "$(dirname "$0")/.."
exec .venv/bin/pytest -n 3 --dist loadgroup "$@"
