#!/usr/bin/env bash
# Every shell script of the project through shellcheck.
set -euo pipefail
cd "$(dirname "$0")/../.."
{
    echo tests/setup
    find . \( -path ./build -o -path ./.git -o -name node_modules \) -prune -o -type f -print |
        while IFS= read -r file; do
            if head -n 1 "$file" | LC_ALL=C grep -qaE '^#!.*\b(ba|da)?sh$'; then
                echo "$file"
            fi
        done
} | xargs shellcheck -x -P SCRIPTDIR
