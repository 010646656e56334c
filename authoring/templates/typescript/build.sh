#!/bin/sh
set -eu
cd "$(dirname "$0")"
./install.sh
npm run --silent build
