#!/bin/sh
set -eu
cd "$(dirname "$0")"
[ -d node_modules ] || npm install --no-audit --no-fund --silent
npm run --silent test
