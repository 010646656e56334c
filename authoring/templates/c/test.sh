#!/bin/sh
set -eu
cd "$(dirname "$0")"
zig=$(./tools.sh)/ziglang/zig
mkdir -p build
"$zig" cc -Wall -o build/rule_test rule_test.c rule.c -lm
build/rule_test
