"""What commands tell people: lines that any terminal can show, whatever stands in a file."""

import sys

_LONGEST = 1000  # characters of a line: names in a file may be of any length


def shown(text) -> str:
    """A text from a file as a line that can be read: cut if too long, escapes in place of what steers a terminal."""
    letters = str(text)[: _LONGEST + 1]
    return _cut("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in letters))


def _cut(text):
    return text if len(text) <= _LONGEST else text[:_LONGEST] + " ..."


def say(line="", stream=None) -> None:
    """Prints a line, as `shown` has it, with escapes for characters that the stream cannot encode."""
    stream = stream or sys.stdout
    encoding = getattr(stream, "encoding", None) or "ascii"
    print(_cut(shown(line).encode(encoding, "backslashreplace").decode(encoding)), file=stream, flush=True)


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


def usage_error(parser):
    """`parser.error` for texts that name what stands in files."""
    return lambda text: parser.error(shown(text))
