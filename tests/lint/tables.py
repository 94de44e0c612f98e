#!/usr/bin/python3
"""Every mapping table holds to mappings/schema.json, and its name is its dialect's."""
import json
import pathlib
import sys

import jsonschema

MAPPINGS = pathlib.Path(__file__).resolve().parents[2] / "mappings"


def main():
    schema = json.loads((MAPPINGS / "schema.json").read_text())
    kind = jsonschema.validators.validator_for(schema)
    kind.check_schema(schema)
    validator = kind(schema)
    wrong = checked = 0
    for path in sorted(MAPPINGS.glob("*.json")):
        if path.name == "schema.json":
            continue
        checked += 1
        table = json.loads(path.read_text())
        for error in validator.iter_errors(table):
            pointer = "".join(f"/{step}" for step in error.absolute_path)
            print(f"mappings/{path.name}#{pointer}: {error.message[:200]}")
            wrong += 1
        if table.get("dialect") != path.stem:
            print(f"mappings/{path.name}#/dialect: is not the file's name")
            wrong += 1
    if not checked:
        print("tables: nothing to check")
    return 1 if wrong or not checked else 0


sys.exit(main())
