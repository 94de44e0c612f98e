#!/usr/bin/env bash
# Compares every #include "layer/…" under gateway/ with the slu_layer() lines of CMakeLists.txt:
# a file may include its own layer and the layers that its line names.
set -euo pipefail
cd "$(dirname "$0")/../.."

declare -A uses=()
while read -r layer rest; do
    uses[$layer]=" $layer $rest "
done < <(sed -nE 's/^slu_layer\(([a-z]+)( USES ([a-z ]+))?( LIBS .*)?\)$/\1 \3/p' CMakeLists.txt)
[ ${#uses[@]} -gt 0 ] || { echo "layers: no slu_layer() lines found" >&2; exit 1; }

wrong=0
while IFS=: read -r file line text; do
    layer=${file#gateway/}
    layer=${layer%%/*}
    used=$(sed -E 's/.*"([^/"]+)\/.*/\1/' <<<"$text")
    if [[ -z ${uses[$layer]-} ]]; then
        echo "$file:$line: the folder $layer has no slu_layer() line"
    elif [[ -z ${uses[$used]-} ]]; then
        echo "$file:$line: $used is no layer"
    elif [[ ${uses[$layer]} != *" $used "* ]]; then
        echo "$file:$line: $layer may not use $used"
    elif [[ $text == *_internal.h* && $used != "$layer" ]]; then
        echo "$file:$line: internal header of another layer"
    else
        continue
    fi
    wrong=1
done < <(grep -rnE '^[[:space:]]*#[[:space:]]*include[[:space:]]+"[^"]*/' gateway --include='*.[ch]')
exit $wrong
