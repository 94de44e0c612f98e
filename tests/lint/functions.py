#!/usr/bin/python3
"""Functions fit a screen: those over 60 lines are listed, one over 80 fails.

A function is what clang-format leaves as one: a body that opens with "{" and closes with "}" in the
first column."""
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LISTED, MOST = 60, 80


def functions(path):
    """(line, name, length) of every function with a body."""
    lines = path.read_text().splitlines()
    for number, line in enumerate(lines):
        if line != "{":
            continue
        head = number - 1
        while head > 0 and lines[head - 1].strip() and not lines[head - 1].endswith((";", "}", "*/")):
            head -= 1
        end = next((i for i in range(number, len(lines)) if lines[i] == "}"), len(lines))
        name = " ".join(lines[head:number]).split("(", 1)[0].split()[-1].lstrip("*")
        yield head + 1, name, end - head + 1


def main():
    worst = 0
    for folder in ("gateway", "tests"):
        for path in sorted((ROOT / folder).rglob("*.c")):
            for line, name, length in functions(path):
                if length > LISTED:
                    print(f"{path.relative_to(ROOT)}:{line}: {name} has {length} lines")
                worst = max(worst, length)
    return 1 if worst > MOST else 0


sys.exit(main())
