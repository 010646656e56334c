#!/bin/sh
set -eu
cd "$(dirname "$0")"
cargo test --quiet --target-dir target
