"""`fastnn demo`: the teaching ladder in the terminal, and as a picture."""

import argparse
import sys
from pathlib import Path


def add(commands) -> None:
    """Adds the command to the parser."""
    from .. import demo

    listed = "\n".join(f"  {name:<8} {demo.summary(name)}" for name in demo.NAMES)
    parser = commands.add_parser(
        "demo",
        help="train small networks and show what they do",
        description=f"Train small networks and show what they do:\n\n{listed}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "name", nargs="?", type=_demo, default=demo.NAMES[0], metavar="NAME", help="default: %(default)s"
    )
    parser.add_argument("--save", type=_picture_path, metavar="FILE", help="write a picture (.png, .svg or .pdf)")
    parser.add_argument("--show", action="store_true", help="show the picture in a window")
    parser.set_defaults(run=_run)


def _demo(name: str):
    """The module of a demo; argparse prints the error with the nearest name."""
    from .. import demo

    try:
        return demo.load(name)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _picture_path(text: str) -> Path:
    path = Path(text)
    if path.suffix.lower() not in (".png", ".svg", ".pdf"):
        raise argparse.ArgumentTypeError(f"a picture is a .png, .svg or .pdf file, got {text!r}")
    if not path.absolute().parent.is_dir():
        raise argparse.ArgumentTypeError(f"there is no folder {path.absolute().parent}")
    return path


def _run(parsed) -> int:
    from .. import _terminal

    demo, style = parsed.name, _terminal.style_for(sys.stdout)
    print(demo.INTRODUCTION, end="\n\n", flush=True)
    figures = demo.compute()
    for line in demo.report(figures, style):
        print(line)
    if parsed.save is None and not parsed.show:
        return 0
    from .. import plot

    try:
        plot.render(lambda figure: demo.draw(figures, figure), demo.SIZE, save=parsed.save, show=parsed.show)
    except (ImportError, OSError) as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return 1
    if parsed.save is not None:
        print(f"\nPicture: {parsed.save}")
    return 0
