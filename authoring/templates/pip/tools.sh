#!/bin/sh
# Prints the folder of what this is built with, which is fetched once for all folders of this user.
set -eu
# Whatever else is said is for people.
exec 3>&1 >&2
place=${MILLRACE_TOOLS:-${XDG_CACHE_HOME:-${HOME:?is not set: set it, or MILLRACE_TOOLS to a folder for what builds this}/.cache}/millrace-tools}
case $place in
  /*) ;;
  *) echo "MILLRACE_TOOLS is '$place': it has to begin with /, since all folders share it"; exit 1 ;;
esac
cd "$(dirname "$0")"
package=$(sed -n '1s/^\([A-Za-z0-9][A-Za-z0-9._-]*\)==.*/\1/p' requirements.txt | tr - _)
[ -n "$package" ] || { echo "the first line of requirements.txt has to be NAME==VERSION"; exit 1; }
tools=$place/$package-$(cksum <requirements.txt | cut -d' ' -f1)-$(uname -sm | tr ' ' -)
if [ ! -f "$tools/$package/__init__.py" ]; then
  mkdir -p "$place" && made=$(mktemp -d "$tools.XXXXXX") || { echo "no folder can be made in '$place': set MILLRACE_TOOLS to one that can be written"; exit 1; }
  trap 'rm -rf "$made"' EXIT
  trap 'exit 130' INT
  trap 'exit 143' TERM HUP
  python3 -m venv "$made/venv"
  "$made/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile --target "$made/packages" -r requirements.txt
  # There as a whole or not at all. Whoever comes second leaves it to the first, and what somebody has emptied goes.
  [ -f "$tools/$package/__init__.py" ] || rm -rf "$tools"
  python3 -c 'import os, sys; os.rename(*sys.argv[1:])' "$made/packages" "$tools" 2>/dev/null || [ -f "$tools/$package/__init__.py" ] ||
    { echo "what was fetched cannot be put into '$tools'"; exit 1; }
fi
printf '%s\n' "$tools" >&3
