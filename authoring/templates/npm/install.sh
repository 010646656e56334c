#!/bin/sh
# Has the packages that package.json names.
set -eu
cd "$(dirname "$0")"
# The file is written last: an installation that was broken off is made again, and one of another package.json.
installed=node_modules/.package-lock.json
if [ ! "$installed" -nt package.json ]; then
  npm install --no-audit --no-fund --loglevel=error >/dev/null
  touch "$installed"
fi
