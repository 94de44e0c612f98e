"""Draws a conversation for a terminal: panes side by side where there is room, else below each
other. What one side says and the other does not say is highlighted: names, words and units that
the translation changed."""
import json
import os
import re
import shutil
import sys
import textwrap

WIDE = 150  # from here on two panes fit beside each other
COLOURS = {"title": "1", "frame": "2", "changed": "1;33", "faint": "2", "good": "32", "bad": "31"}


class Plain(str):
    """A line in which nothing is highlighted."""


class Screen:
    def __init__(self, out=sys.stdout):
        self.out = out
        self.colour = out.isatty() and "NO_COLOR" not in os.environ
        self.width = min(shutil.get_terminal_size((160, 50)).columns, 200)

    def paint(self, text, how):
        return f"\x1b[{COLOURS[how]}m{text}\x1b[0m" if self.colour and text else text

    def line(self, text=""):
        print(text, file=self.out)

    def heading(self, text, detail):
        self.line()
        self.line(self.paint(text, "title"))
        for piece in textwrap.wrap(detail, self.width):
            self.line(self.paint(piece, "faint"))

    def panes(self, rows):
        """rows: [[(title, lines, other side's words)]]. Titles begin with their number: clockwise
        where two are beside each other, in that order where they are not."""
        if self.width < WIDE:
            for pane in sorted((pane for row in rows for pane in row), key=lambda pane: pane[0]):
                self.beside([self.box(pane, self.width)])
            return
        left = (self.width - 1) // 2
        for row in rows:
            self.beside([self.box(row[0], left), self.box(row[1], self.width - 1 - left)])

    def box(self, pane, width):
        title, lines, known = pane
        inner = width - 4
        drawn = []
        for text in lines:
            for piece in wrap(text, inner):
                shown = piece if isinstance(text, Plain) else self.highlight(piece, known)
                drawn.append(shown + " " * (inner - len(piece)))
        return title, drawn, width

    def beside(self, boxes):
        height = max(len(drawn) for _, drawn, _ in boxes)
        edge = self.paint("│", "frame")
        tops, rows, bottoms = [], [[] for _ in range(height)], []
        for title, drawn, width in boxes:
            rule = "─" * (width - len(title) - 5)
            tops.append(self.paint("┌─ ", "frame") + self.paint(title, "title")
                        + self.paint(" " + rule + "┐", "frame"))
            bottoms.append(self.paint("└" + "─" * (width - 2) + "┘", "frame"))
            empty = " " * (width - 4)
            for number in range(height):
                text = drawn[number] if number < len(drawn) else empty
                rows[number].append(f"{edge} {text} {edge}")
        for parts in [tops, *rows, bottoms]:
            self.line(" ".join(parts))

    def highlight(self, text, known):
        """Paints the words that the other side does not have."""
        if not self.colour:
            return text
        if text.lstrip().startswith("#"):
            return self.paint(text, "faint")
        return re.sub(r'"(?:[^"\\]|\\.)*"|(?<![\w.-])[\w.%~-]+(?![\w.-])',
                      lambda found: self.mark(found.group(0), known), text)

    def mark(self, word, known):
        bare = word.strip('"')
        return word if bare in known or bare in ("null",) else self.paint(word, "changed")


def wrap(text, width):
    if len(text) <= width:
        return [text]
    indent = " " * min(len(text) - len(text.lstrip()) + 4, width // 2)
    return textwrap.wrap(text, width, subsequent_indent=indent, break_on_hyphens=False,
                         replace_whitespace=False, drop_whitespace=False) or [""]


def words(*documents):
    """Every member name and scalar value in the documents, as text."""
    found = set()

    def walk(value):
        if isinstance(value, dict):
            for name, member in value.items():
                found.add(name)
                walk(member)
        elif isinstance(value, list):
            for member in value:
                walk(member)
        else:
            found.add(value if isinstance(value, str) else json.dumps(value))
    for document in documents:
        walk(document)
    return found


def document_lines(document):
    """JSON for people; an object that fits stands on one line."""
    def lines(value, indent, lead, tail):
        short = lead + json.dumps(value, ensure_ascii=False) + tail
        if not isinstance(value, (dict, list)) or not value or (indent and indent + len(short) <= 72):
            return [" " * indent + short]
        opened, closed = ("{", "}") if isinstance(value, dict) else ("[", "]")
        items = ([(json.dumps(k) + ": ", v) for k, v in value.items()] if opened == "{"
                 else [("", v) for v in value])
        out = [" " * indent + lead + opened]
        for number, (name, member) in enumerate(items):
            out += lines(member, indent + 2, name, "," if number < len(items) - 1 else "")
        return out + [" " * indent + closed + tail]
    return lines(document, 0, "", "")
