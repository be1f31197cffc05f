#!/bin/bash
# SPDX-License-Identifier: MIT
# clang-tidy on one source file, unless it was clean with the same content, headers, flags and rules:  tidy.sh SOURCE
# Called by lint.sh, with BUILD, CACHE and SRC in the environment. What was clean is noted in the cache, for all checkouts: it takes
# 20 seconds a file, most of it for the headers of others.
set -uo pipefail
source=$1
cd "$SRC" || exit 1
flags=$(python3 - "$BUILD/compile_commands.json" "$SRC/$source" <<'PYTHON'
import json, shlex, sys
for entry in json.load(open(sys.argv[1])):
    if entry["file"] == sys.argv[2]:
        words = entry.get("arguments") or shlex.split(entry["command"])
        keep = [w for w in words[1:] if w.startswith(("-I", "-D", "-std", "-isystem"))]
        print(shlex.join([w for i, w in enumerate(words[1:], 1) if w in keep or words[i - 1] == "-isystem"]))
        break
PYTHON
)
[ -n "$flags" ] || { echo "$source: not built, so not checked"; exit 0; }
eval "depends=\$(g++ $flags -M -MT x \"\$source\" 2> /dev/null)" || depends="x: $source"
flags=${flags//"$BUILD"/build}
key=$({ cat .clang-tidy; echo "${flags//"$SRC"/.}"; clang-tidy-19 --version
    tr -d '\\\n' <<< "${depends#x:}" | xargs cat; } | sha256sum | cut -c 1-32)
stamp=$CACHE/tidy/$key
[ -e "$stamp" ] && exit 0
if output=$(clang-tidy-19 --quiet -p "$BUILD" --warnings-as-errors='*' "$source" 2>&1); then
    touch "$stamp"
else
    grep -vE '^[0-9]+ warnings? (generated|treated)|^Suppressed|^Use -header-filter' <<< "$output"
    exit 1
fi
