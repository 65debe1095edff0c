"""The command line: `python -m fastnn`, and `fastnn` where scripts are installed.

Each command is a function that takes the parsed arguments and returns the exit code: 0 where all went well, 1 where
the work failed, 2 (by argparse) where the command line was wrong. Heavy modules are imported by the command that needs
them.
"""

import argparse
import sys
from pathlib import Path


def main(arguments=None) -> int:
    """Run one command; `arguments` are those of the command line without the program's name."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["bench"]:  # its options are the benchmark's own, with a help of their own
        from .benchmark import main as bench

        return bench(arguments[1:]) or 0
    parser = _parser()
    parsed = parser.parse_args(arguments)
    if parsed.command is None:
        parser.print_help()
        return 2
    try:
        return parsed.run(parsed)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        sys.stderr.close()
        return 1


def _parser() -> argparse.ArgumentParser:
    from . import __version__

    parser = argparse.ArgumentParser(prog="fastnn", description="Fast neural networks on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    _add_demo(commands)
    commands.add_parser("bench", help="time this machine's fastnn beside pure Python and NumPy", add_help=False)
    info = commands.add_parser("info", help="print target, CPU features, threads and versions")
    info.set_defaults(run=_info)
    return parser


def _add_demo(commands) -> None:
    from . import demo

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
    parser.set_defaults(run=_run_demo)


def _demo(name: str):
    """The module of a demo; argparse prints the error with the nearest name."""
    from . import demo

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


def _run_demo(parsed) -> int:
    from . import _terminal

    demo, style = parsed.name, _terminal.style_for(sys.stdout)
    print(demo.INTRODUCTION, end="\n\n", flush=True)
    figures = demo.compute()
    for line in demo.report(figures, style):
        print(line)
    if parsed.save is None and not parsed.show:
        return 0
    from . import plot

    try:
        plot.render(lambda figure: demo.draw(figures, figure), demo.SIZE, save=parsed.save, show=parsed.show)
    except (ImportError, OSError) as error:
        print(f"fastnn: {error}", file=sys.stderr)
        return 1
    if parsed.save is not None:
        print(f"\nPicture: {parsed.save}")
    return 0


def _info(parsed) -> int:
    from . import show_config

    show_config()
    return 0
