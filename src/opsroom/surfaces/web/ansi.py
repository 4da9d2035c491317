"""Terminal colours as HTML: SGR sequences (ECMA-48, 8.3.117) become classes, every other control sequence is left out."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

_SEQUENCE = re.compile(
    r"\x1b(?:\[(?P<sgr>[0-9;:]*)m|\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_]|[ -/]+[0-~])|[\x00-\x08\x0b-\x1f\x7f]"
)
_NAMES = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")


@dataclass(frozen=True, slots=True)
class Style:
    """The look in force at one place of a text; it carries over to the next line."""

    colour: str = ""
    background: str = ""
    bold: bool = False
    faint: bool = False
    italic: bool = False
    underlined: bool = False

    @property
    def classes(self) -> str:
        flags = (("b", self.bold), ("f", self.faint), ("i", self.italic), ("u", self.underlined))
        names = [f"ansi-{name}" for name, on in flags if on]
        if self.colour:
            names.append(f"ansi-{self.colour}")
        if self.background:
            names.append(f"ansi-on-{self.background}")
        return " ".join(names)


PLAIN = Style()


def to_html(line: str, style: Style = PLAIN) -> tuple[Markup, Style]:
    """One line as HTML with classes `ansi-red`, `ansi-b`, …, and the style in force at its end."""
    pieces: list[Markup] = []
    at = 0
    for match in _SEQUENCE.finditer(line):
        pieces.append(_span(line[at : match.start()], style))
        at = match.end()
        if match["sgr"] is not None:
            style = _apply(style, match["sgr"])
    pieces.append(_span(line[at:], style))
    return Markup("").join(pieces), style


def to_text(line: str) -> str:
    """The line without any control sequence."""
    return _SEQUENCE.sub("", line)


def _span(text: str, style: Style) -> Markup:
    if not text:
        return Markup("")
    classes = style.classes
    return Markup('<span class="{}">{}</span>').format(classes, text) if classes else escape(text)


def _apply(style: Style, codes: str) -> Style:
    numbers = [int(code) if code else 0 for code in codes.replace(":", ";").split(";") if len(code) < 10]
    index = 0
    while index < len(numbers):
        code = numbers[index]
        index += 1
        if code in (38, 48):
            index, name = _extended(numbers, index)
            style = replace(style, colour=name) if code == 38 else replace(style, background=name)
        else:
            style = _simple(style, code)
    return style


def _simple(style: Style, code: int) -> Style:
    if code == 0:
        return PLAIN
    if code == 1:
        return replace(style, bold=True)
    if code == 2:
        return replace(style, faint=True)
    if code == 3:
        return replace(style, italic=True)
    if code == 4:
        return replace(style, underlined=True)
    if code == 22:
        return replace(style, bold=False, faint=False)
    if code == 23:
        return replace(style, italic=False)
    if code == 24:
        return replace(style, underlined=False)
    if 30 <= code <= 37 or 90 <= code <= 97:
        return replace(style, colour=_NAMES[code % 10])
    if 40 <= code <= 47 or 100 <= code <= 107:
        return replace(style, background=_NAMES[code % 10])
    if code == 39:
        return replace(style, colour="")
    return replace(style, background="") if code == 49 else style


def _extended(numbers: list[int], index: int) -> tuple[int, str]:
    """256 and true colours, brought to the nearest of the eight names, so that they stay readable on either theme."""
    kind = numbers[index] if index < len(numbers) else 0
    if kind == 5 and index + 1 < len(numbers):
        return index + 2, _of_256(numbers[index + 1])
    if kind == 2 and index + 3 < len(numbers):
        red, green, blue = numbers[index + 1 : index + 4]
        return index + 4, _nearest(red, green, blue)
    return len(numbers), ""


def _of_256(number: int) -> str:
    if number < 16:
        return _NAMES[number % 8]
    if number >= 232:
        return ""
    level = number - 16
    red, green, blue = level // 36 % 6, level // 6 % 6, level % 6
    return _nearest(red * 51, green * 51, blue * 51)


def _nearest(red: int, green: int, blue: int) -> str:
    strongest = max(red, green, blue)
    if strongest < 40 or strongest - min(red, green, blue) < 40:
        return ""
    bits = sum(bit for bit, value in ((1, red), (2, green), (4, blue)) if value > strongest * 0.6)
    return _NAMES[bits]
