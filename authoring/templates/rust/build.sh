#!/bin/sh
set -eu
cd "$(dirname "$0")"
rustup target add wasm32-wasip2 >/dev/null 2>&1 || true
cargo build --release --target wasm32-wasip2 --target-dir target
# Another file in its place, at once: a host that runs takes it as a whole.
cp target/wasm32-wasip2/release/{{module}}.wasm {{name}}.wasm.new
mv {{name}}.wasm.new {{name}}.wasm
