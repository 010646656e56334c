#!/bin/sh
# Prints the folder of what this is built with, which is fetched once for all folders of this user.
set -eu
cd "$(dirname "$0")"
tools=${MILLRACE_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/millrace-tools}/python-$(cksum <requirements.txt | cut -d' ' -f1)
if [ ! -d "$tools" ]; then
  mkdir -p "${tools%/*}"
  made=$(mktemp -d "$tools.XXXXXX")
  trap 'rm -rf "$made"' EXIT
  python3 -m venv "$made/venv"
  "$made/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --target "$made/packages" -r requirements.txt >&2
  # There as a whole or not at all, and the same whoever was first.
  [ -d "$tools" ] || mv "$made/packages" "$tools"
fi
printf '%s\n' "$tools"
