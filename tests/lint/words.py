#!/usr/bin/python3
"""No cloud's name and no native member name in gateway/ outside gateway/sign/: they are data and
stand in mappings/*.json, from which the list of native names is read here."""
import json
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
CLOUDS = ("alibaba aliyun huawei otc opentelekom telekom aws amazon tencent azure google oracle ibm "
          "volcengine").split()


def canonical_names():
    """The last steps of the canonical pointers that any table maps or lists."""
    names = set()
    for table in tables():
        for row in table.get("fields", []) + table.get("cannot", []):
            pointers = row.get("c", [])
            for pointer in pointers if isinstance(pointers, list) else [pointers]:
                names.add(pointer.rsplit("/", 1)[-1])
    return names


def tables():
    for path in sorted((ROOT / "mappings").glob("*.json")):
        if path.name != "schema.json":
            yield json.loads(path.read_text())


def native_names():
    """Names longer than four characters, with an underscore or a capital letter."""
    names = set()
    for table in tables():
        for row in table.get("fields", []):
            name = row.get("n", "").rsplit("/", 1)[-1]
            if len(name) > 4 and re.search(r"[_A-Z]", name):
                names.add(name)
    return names - canonical_names()


def name_pattern(native):
    """A name that could also open a sentence ("Status") counts only as a whole string."""
    plain = sorted(name for name in native if re.fullmatch(r"[A-Z][a-z]+", name))
    odd = sorted(native - set(plain))
    return re.compile(r"\b(%s)\b|\"/?(%s)\"" % ("|".join(odd), "|".join(plain) or "(?!)"))


def main():
    native = native_names()
    words = re.compile(r"(?<![A-Za-z])(%s)(?![A-Za-z])" % "|".join(CLOUDS), re.IGNORECASE)
    names = name_pattern(native) if native else None
    wrong = 0
    for path in sorted((ROOT / "gateway").rglob("*.[ch]")):
        where = path.relative_to(ROOT)
        if where.parts[1] == "sign":
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            for pattern, what in ((words, "a cloud's name"), (names, "a native member name")):
                found = pattern.search(line) if pattern else None
                if found:
                    print(f"{where}:{number}: {what}: {found.group(0)}")
                    wrong += 1
    if not native:
        print("words: no native names found in mappings/", file=sys.stderr)
        wrong += 1
    return 1 if wrong else 0


sys.exit(main())
