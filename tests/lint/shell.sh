#!/usr/bin/env bash
# Every shell script of the project through shellcheck.
set -euo pipefail
cd "$(dirname "$0")/../.."
{
    echo tests/setup
    find . \( -path ./build -o -path ./.git -o -name node_modules \) -prune -o -type f -print |
        while IFS= read -r file; do
            head -n 1 "$file" 2>/dev/null | LC_ALL=C grep -qaE '^#!.*\b(ba|da)?sh$' && echo "$file"
        done
} | xargs shellcheck -x -P SCRIPTDIR
