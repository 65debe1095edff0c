"""The command line: `python -m fastnn`, and `fastnn` where scripts are installed.

A module for each command, which adds its arguments to the parser and says what runs them: a function of the parsed
arguments that returns the exit code. That is 0 where all went well, 1 where the work failed, 2 (by argparse) where the
command line was wrong, 130 after Ctrl-C. Heavy modules are imported by the command that needs them.
"""

import argparse
import sys

from ..errors import FastnnError
from . import demo, info, predict, selftest, train
from ._report import note


def main(arguments=None) -> int:
    """Run one command; `arguments` are those of the command line without the program's name."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["bench"]:  # its options are the benchmark's own, with a help of their own
        from ..benchmark import main as bench

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
    except (FastnnError, OSError, MemoryError) as error:
        note(_for_a_person(error))
        return 1


def _parser() -> argparse.ArgumentParser:
    from .. import __version__

    parser = argparse.ArgumentParser(prog="fastnn", description="Fast neural networks on the CPU.")
    parser.add_argument("--version", action="version", version=f"fastnn {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND")
    demo.add(commands)
    train.add(commands)
    predict.add(commands)
    info.add(commands)
    selftest.add(commands)
    commands.add_parser("bench", help="time this machine's fastnn beside pure Python and NumPy", add_help=False)
    return parser


def _for_a_person(error):
    if isinstance(error, MemoryError):
        return f"the memory is too small: {error}" if str(error) else "the memory is too small"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)
