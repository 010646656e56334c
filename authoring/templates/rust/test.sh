#!/bin/sh
set -eu
cd "$(dirname "$0")"
# As the build, which has compiled most of what this needs.
cargo test --quiet --release --target-dir target
