"""The matrix client × target as Markdown, from what was seen, and its place in README.md."""
import json

from expect import CANNOT, CLIENTS, TARGETS, steps_of, verdict
from gateway import ROOT

BEGIN, END = "<!-- clients: begin -->", "<!-- clients: end -->"
README = ROOT / "README.md"
WORDS = {"filtered": "traffic filter", "described": "description", "rename": "rename",
         "clear": "clearing the description", "disable": "disable", "foreign interval": "interval",
         "foreign tags": "tags",
         "tag": "changing tags", "foreign index": "index switch",
         "foreign member": "native members"}


def cell(client, target, seen):
    """What was refused at this door that is not refused everywhere; or what went wrong."""
    steps = seen.get((client, target), {})
    wrong = [name for name in steps_of(client) if verdict(client, target, name, steps.get(name))]
    if wrong:
        return f"**fails**: {', '.join(wrong[:3])}" + (" …" if len(wrong) > 3 else "")
    lost = [word for name, word in WORDS.items() if steps.get(name, {}).get("saw") == "refused"]
    return f"life; refused: {', '.join(lost)}" if lost else "whole life"


def title(client):
    """The client's name, with the version that is pinned."""
    text = CLIENTS[client]["title"]
    pinned = json.loads((ROOT / "tests/clients/package.json").read_text())["dependencies"]
    for package, version in pinned.items():
        text = text.replace(f"`{package}`", f"`{package}` {version}")
    return text


def reasons(seen):
    """Why, in the words of the targets' tables."""
    yield "- native members: members that only the client's own cloud knows are not carried to another."
    for target in TARGETS:
        table = json.loads((ROOT / f"mappings/{target}.json").read_text())
        told = {}
        for name, word in WORDS.items():
            if any(steps.get(name, {}).get("saw") == "refused" for (_, to), steps in seen.items() if to == target):
                told.setdefault(reason(table, name, CANNOT[name][0]), []).append(word)
        for why, words in told.items():
            if why:
                yield f"- `{target}`, {', '.join(words)}: {why}."


def reason(table, step, pointer):
    for row in table["cannot"]:
        if row["c"] == pointer and "words" not in row and "when" not in row:
            return row["reason"]
    for row in table["fields"]:
        if row.get("c") == pointer and step == "clear" and "never" in row.get("clear", {}):
            return row["clear"]["never"]
        if row.get("c") == pointer and step == "foreign interval" and "one_of" in row.get("limits", {}):
            return "it takes " + " or ".join(str(value) for value in row["limits"]["one_of"]) + " seconds"
    return "they are given at creation and not changed by these calls" if step == "tag" else ""


def draw(seen):
    lines = ["| client | " + " | ".join(f"→ `{target}`" for target in TARGETS) + " |",
             "| --- |" + " --- |" * len(TARGETS)]
    for client in CLIENTS:
        lines.append(f"| {title(client)} | "
                     + " | ".join(cell(client, target, seen) for target in TARGETS) + " |")
    return "\n".join([*lines, "", *reasons(seen)])


def compare(seen, write):
    """What is wrong with README's matrix, or None; with `write` it is put right."""
    text = README.read_text()
    if text.count(BEGIN) != 1 or text.count(END) != 1:
        return f"README.md has no place for it between {BEGIN} and {END}"
    before, rest = text.split(BEGIN)
    there, after = rest.split(END)
    drawn = f"\n{draw(seen)}\n"
    if write and there != drawn:
        README.write_text(before + BEGIN + drawn + END + after)
    elif there != drawn:
        return "it differs; `tests/clients/run BINARY --write` draws it anew. Seen was:" + drawn
    return None
