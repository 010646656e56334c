#!/bin/sh
set -eu
cd "$(dirname "$0")"
tools=$(./tools.sh)
# What is wrong with the step is not to be looked for among frames of the tool's own.
PYTHONPATH="$tools" RUST_BACKTRACE=0 python3 -c "from componentize_py import script; script()" -d wit -w step componentize app -o {{name}}.wasm
