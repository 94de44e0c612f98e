#!/usr/bin/env bash
# Every C file of the gateway opens with a comment that says what it is for.
set -euo pipefail
cd "$(dirname "$0")/../.."
wrong=0
while IFS= read -r file; do
    [ "$(head -c 2 "$file")" = "/*" ] && continue
    echo "$file:1: does not open with a comment"
    wrong=1
done < <(find gateway -name '*.[ch]')
exit $wrong
