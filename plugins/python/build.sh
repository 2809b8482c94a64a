#!/bin/sh
# Builds calc: `build.sh OUT.wasm`. Its tools go to $PLUGIN_TOOLS (target/plugin-tools by default), fetched once for
# each requirements.txt; after that it needs no network.
set -eu

here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
root=$here/../..
fail() {
    echo "plugins/python/build.sh: $1" >&2
    exit 1
}

[ $# -eq 1 ] || fail "say where the component goes: build.sh OUT.wasm"
python=$(command -v python3) || fail "python3 is missing; install Python 3.10 or newer"
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || fail "python3 is $("$python" -V); 3.10 or newer is needed"
"$python" -c 'import venv, ensurepip' 2>/dev/null || fail "python3 can't make virtual environments; install its venv package"

tools=${PLUGIN_TOOLS:-$root/target/plugin-tools}/python
if ! cmp -s "$here/requirements.txt" "$tools/installed.txt"; then
    rm -rf "$tools"
    mkdir -p "$(dirname -- "$tools")"
    "$python" -m venv "$tools" || fail "python3 -m venv failed (above)"
    "$tools/bin/pip" install --quiet --disable-pip-version-check -r "$here/requirements.txt" ||
        fail "pip could not get what requirements.txt names (above); is the package index reachable?"
    cp "$here/requirements.txt" "$tools/installed.txt"
fi

mkdir -p "$(dirname -- "$1")"
# Beside it and then moved, so that a host that watches the folder never reads half of it.
part=$1.part.$$
trap 'rm -f "$part"' EXIT
"$tools/bin/componentize-py" --quiet -d "$root/wit/1.0" -d "$here/wit" -w local:calc/calc \
    componentize -p "$here" -o "$part" plugin || fail "componentize-py failed (above)"
mv "$part" "$1"
