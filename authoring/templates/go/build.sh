#!/bin/sh
set -eu
cd "$(dirname "$0")"
# The one that made this folder, where none is in the path.
millrace=${MILLRACE:-$(command -v millrace || echo '{{millrace}}')}
"$millrace" bindings go --wit wit --module example.com/{{name}}
GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -trimpath -ldflags='-s -w' -o build/core.wasm .
"$millrace" componentize build/core.wasm --wit wit --out {{name}}.wasm
