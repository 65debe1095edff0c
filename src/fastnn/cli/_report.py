"""What commands tell people: lines that any terminal can show, whatever stands in a file."""

import sys

_LONGEST = 1000  # characters of a line: names in a file may be of any length


def shown(text) -> str:
    """A text from a file without what steers a terminal: escapes in place of what cannot be seen."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(text))


def say(line="", stream=None) -> None:
    """Prints a line, cut where it is too long to be read, with escapes for characters that the stream cannot encode."""
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "ascii"
    text = shown(str(line)[: _LONGEST + 1]).encode(encoding, "backslashreplace").decode(encoding)
    print(text if len(text) <= _LONGEST else text[:_LONGEST] + " ...", file=stream, flush=True)


def note(line) -> None:
    """A line beside the result, on stderr."""
    say(f"fastnn: {line}", sys.stderr)


def figures_table(title, columns) -> list:
    """Lines of figures; columns: {heading: {name: figure}}, all with the same names."""
    names = list(next(iter(columns.values())))
    width = max(len(title), *map(len, names))
    lines = [f"{title:<{width}}  " + "  ".join(columns)]
    for name in names:
        cells = (f"{column[name]:<{len(heading)}.4g}" for heading, column in columns.items())
        lines.append(f"{name:<{width}}  " + "  ".join(cells).rstrip())
    return lines
