"""What a user attaches to a network: a small dict of JSON values, which its files and pickles carry.

Checked when it is set, saved and loaded; knows nothing of networks.
"""

import math

from ._data import short

LONGEST = 1 << 18  # characters of its JSON text: notes and tables of columns, not data
DEEPEST = 32  # dicts and lists in one another
_LARGEST = 2**63


def checked(values, name="metadata"):
    """A copy of a dict of JSON values, tuples as lists.

    Raises TypeError for what JSON does not hold, ValueError for too much of it; both begin with `name`.

    >>> checked({"made by": "me", "sizes": (1, 2)})
    {'made by': 'me', 'sizes': [1, 2]}
    """
    if not isinstance(values, dict):
        raise TypeError(f"{name} must be a dict of JSON values, got {short(values)}")
    copy = _Copier(name).copied(values, 0)
    if not copy:
        return copy
    import json  # costs milliseconds, which networks without metadata need not wait for

    if len(json.dumps(copy, separators=(",", ":"))) > LONGEST:
        raise _too_long(name)
    return copy


def _too_long(name):
    return ValueError(f"{name} must be at most {LONGEST:,} characters as JSON; data belong in files of their own")


class _Copier:
    """Copies values until their JSON text is sure to be too long, so that a forged file cannot ask for much."""

    def __init__(self, name):
        self.name, self.left = name, LONGEST

    def copied(self, value, level):
        self.left -= 1 + (len(value) if isinstance(value, str) else 0)
        if self.left < 0:
            raise _too_long(self.name)
        if isinstance(value, (dict, list, tuple)):
            if level == DEEPEST:
                raise ValueError(f"{self.name} must be at most {DEEPEST} dicts and lists deep")
            if isinstance(value, dict):
                return {self._key(key): self.copied(one, level + 1) for key, one in value.items()}
            return [self.copied(one, level + 1) for one in value]
        self._check_scalar(value)
        return value

    def _key(self, key):
        if not isinstance(key, str):
            raise TypeError(f"{self.name} must have texts as keys, got {short(key)}")
        return self.copied(key, 0)

    def _check_scalar(self, value):
        if type(value) is int and not -_LARGEST <= value < _LARGEST:
            raise ValueError(f"{self.name} must have integers of 64 bits, got one of {value.bit_length()} bits")
        if type(value) is float and not math.isfinite(value):
            raise ValueError(f"{self.name} must have finite numbers, got {value}")
        if type(value) not in (str, bool, int, float, type(None)):
            raise TypeError(
                f"{self.name} must hold dicts, lists, texts, numbers, True, False and None, got {short(value)}"
            )
