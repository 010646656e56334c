#!/bin/sh
set -eu
cd "$(dirname "$0")"
[ -x .venv/bin/componentize-py ] || { python3 -m venv .venv && .venv/bin/pip install --quiet --disable-pip-version-check -r requirements.txt; }
.venv/bin/componentize-py -d wit -w step componentize app -o {{name}}.wasm
