#!/bin/sh
set -eu
cd "$(dirname "$0")"
zig=$(./tools.sh)/ziglang/zig
# The one that made this folder, where none is in the path.
millrace=${MILLRACE:-$(command -v millrace || echo '{{millrace}}')}
"$millrace" bindings c --wit wit
mkdir -p build
"$zig" cc --target=wasm32-wasi -mexec-model=reactor -Os -Wall -Wl,--strip-debug -Wl,-z,stack-size=262144 \
  -o build/core.wasm step.c rule.c bindings/step.c bindings/step_component_type.o
"$millrace" componentize build/core.wasm --wit wit --out {{name}}.wasm
