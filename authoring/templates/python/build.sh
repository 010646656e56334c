#!/bin/sh
set -eu
cd "$(dirname "$0")"
tools=$(./tools.sh)
PYTHONPATH="$tools" python3 -c "from componentize_py import script; script()" -d wit -w step componentize app -o {{name}}.wasm
