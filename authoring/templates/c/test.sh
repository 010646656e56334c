#!/bin/sh
set -eu
cd "$(dirname "$0")"
[ -x .venv/bin/python-zig ] || { python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt; }
mkdir -p build
.venv/bin/python-zig cc -Wall -o build/rule_test rule_test.c rule.c -lm
build/rule_test
