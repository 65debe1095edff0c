"""The exceptions and warnings that fastnn raises itself, and how a misspelt name is answered."""


class FastnnError(Exception):
    """Base of the errors that are fastnn's own; wrong arguments are plain ValueError or TypeError."""


class ShapeError(FastnnError, ValueError):
    """An array or a layer has another shape than the one that is needed."""


class NotFittedError(FastnnError, ValueError, AttributeError):
    """The network has no parameters yet, or a layer of it has not learned from data yet what it needs."""


class ModelFileError(FastnnError, ValueError):
    """A model file is damaged, of another kind, or of a version that is not known."""


class TableError(FastnnError, ValueError):
    """A table cannot be read, or its columns or cells are not what is needed."""


class NonFiniteWarning(RuntimeWarning):
    """The loss became infinite or not a number during training."""


def unknown_name(kind: str, name: str, known) -> ValueError:
    """The error for a name that is not in `known`, with the nearest one that is.

    >>> unknown_name("activation", "rleu", ["relu", "tanh"])
    ValueError("unknown activation 'rleu'; did you mean 'relu'? Known: relu, tanh")
    """
    import difflib  # costs a millisecond, and only those who misspell pay it

    known = sorted(known)
    near = difflib.get_close_matches(str(name).lower(), known, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return ValueError(f"unknown {kind} {name!r}{hint} Known: {', '.join(known)}")
