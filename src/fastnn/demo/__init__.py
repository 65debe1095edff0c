"""The teaching ladder: small systems that run in seconds, from one neuron to handwritten digits.

A demo is a module with

    INTRODUCTION          what is about to be shown, printed first
    compute(...)          does all the work and returns its figures, a dataclass; tests assert these
    report(figures, style)   the figures as lines of text with terminal plots
    draw(figures, figure)    the same as a matplotlib picture, SIZE inches large

so that nothing that is printed exists only as text. The first line of its docstring says what it is, for the help.
"""

from importlib import import_module

from ..errors import unknown_name

NAMES = (  # the first is the default
    "digits", "cnn", "dropout", "forecast", "lstm", "neuron", "rnn", "transformer", "vending", "xor",
)  # fmt: skip


def load(name: str):
    """Return the module of a demo; an unknown name is answered with the nearest one."""
    if name not in NAMES:
        raise unknown_name("demo", name, NAMES)
    return import_module(f".{name}", __name__)


def summary(name: str) -> str:
    """Return what a demo shows, in one line."""
    return load(name).__doc__.partition("\n")[0].rstrip(".")
