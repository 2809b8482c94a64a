#!/bin/sh
# Builds shout: `build.sh OUT.wasm`. Its tools go to $PLUGIN_TOOLS (target/plugin-tools by default), fetched once for
# each package-lock.json; after that it needs no network.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$here/../..
fail() {
    echo "plugins/javascript/build.sh: $1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "say where the component goes: build.sh OUT.wasm"
command -v node >/dev/null || fail "node is missing; install Node.js 20 or newer"
command -v npm >/dev/null || fail "npm is missing; install it beside Node.js"
node -e 'process.exit(parseInt(process.versions.node, 10) < 20 ? 1 : 0)' || fail "node is $(node -v); 20 or newer is needed"

tools=${PLUGIN_TOOLS:-$root/target/plugin-tools}/javascript
if ! cmp -s "$here/package-lock.json" "$tools/installed.json"; then
    rm -rf "$tools"
    mkdir -p "$tools"
    cp "$here/package.json" "$here/package-lock.json" "$tools"
    (cd "$tools" && npm ci --no-audit --no-fund --loglevel=error) ||
        fail "npm could not get what package-lock.json names (above); is the registry reachable?"
    cp "$here/package-lock.json" "$tools/installed.json"
fi

mkdir -p "$(dirname -- "$1")"
out=$(CDPATH= cd -- "$(dirname -- "$1")" && pwd)/$(basename -- "$1")
# Beside it and then moved, so that a host that watches the folder never reads half of it.
part=$out.part.$$
wit=$(mktemp -d)
trap 'rm -rf "$part" "$wit"' EXIT
# One folder with the packages it uses in `deps`, as the tool wants it.
cp "$here"/wit/*.wit "$wit"
mkdir "$wit/deps"
cp "$root"/wit/1.0/*.wit "$wit/deps"
cp "$here/componentize.mjs" "$tools"
node "$tools/componentize.mjs" "$here" "$wit" shout "$part" || fail "componentize-js failed (above)"
mv "$part" "$out"
