"""Nonsense wherever a size is taken: 0, -1, True, 1.5, NaN, text, 2^31 +- 1, 2^62 give an error or a network.

Which arguments are sizes is read off the signatures, so that a new layer is covered by its row in tests/cases.py, a
new optimizer, schedule, metric or callback by being public. The errors are ValueError (ShapeError among them),
TypeError or MemoryError, at once and with a text; nothing is allocated for a size that no memory holds. Runs in a
process of its own, whose memory is limited.
"""

import inspect
import math
import os
import re
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

import fastnn as fnn

NEVER = (True, 1.5, math.nan, math.inf, "3", b"3", [], {}, 3j, object())
NUMBERS = (0, -1, 1, 2**31 - 1, 2**31, 2**31 + 1, 2**32, 2**53, 2**62, 2**63 - 1, 2**63, 2**64, -(2**63), 10**400)
REFUSALS = (ValueError, TypeError, MemoryError)
SIZES = ("int", "Sizes", "Shape", "PaddingLike")
SPARE = 256 << 20  # bytes that a network of a size that fits may take
SECONDS = 2.0
X, Y = np.zeros((4, 3), "float32"), np.zeros((4, 1), "float32")
# Arguments of these names have a default nowhere, and are no sizes.
GIVEN = {"learning_rate": 0.1, "factor": 0.5, "start": 0.1, "end": 0.2, "warm": 2, "length": 10, "at": 3, "path": "x",
         "schedule": 0.1, "after": 0.1, "value": 1.0, "X": X, "y": Y, "levels": 0.5, "peak": 0.1, "steps": 10,
         "step": 0.1, "final": 0.1, "rows": 1, "decay": 0.9}  # fmt: skip


def sizes_in(signature):
    """Names of the arguments that a signature declares as sizes, and whether None is one of their values."""
    for name, parameter in signature.parameters.items():
        words = {word.strip() for word in str(parameter.annotation).split("|")}
        if words & set(SIZES) and not words & {"bool", "str"} and name != "threads":
            yield name, "None" in words


def values(optional):
    return (*NEVER, *NUMBERS, *(() if optional else (None,)))


class Check:
    """Collects what is wrong."""

    def __init__(self):
        self.calls, self.bad = 0, []

    def refuses(self, what, name, value, call):
        """What `call(name=value)` gives, or None for an error that is allowed."""
        self.calls += 1
        label = f"{what}({name}={str(value)[:30]})"
        begin = time.perf_counter()
        try:
            result = call(**{name: value})
        except REFUSALS as error:
            if not str(error) or len(str(error)) > 500:
                self.bad.append(f"{label}: {type(error).__name__} says {str(error)[:60]!r}")
            return None
        except BaseException as error:
            self.bad.append(f"{label}: {type(error).__name__}: {error!s:.100}")
            return None
        finally:
            if time.perf_counter() - begin > SECONDS:
                self.bad.append(f"{label}: {time.perf_counter() - begin:.1f} s")
        if any(value is one for one in NEVER) and not (value == [] or name == "at"):
            self.bad.append(f"{label} is taken")
        return result


def check_layers(check):
    import cases

    rows = {}
    for case in cases.CASES:
        rows.setdefault(case.layer, case)
    for layer, case in rows.items():
        if not layer.__module__.startswith("fastnn."):
            continue
        signature = inspect.signature(layer)
        bound = signature.bind(*case.arguments, **case.options).arguments
        for name, optional in sizes_in(signature):
            for value in values(optional):
                rest = {other: given for other, given in bound.items() if other != name}
                made = check.refuses(layer.__name__, name, value, partial(layer, **rest))
                if made is not None:
                    use(check, case, made, name, value)


def use(check, case, layer, name, value):
    """A layer that took the value, in a network that predicts and trains."""

    def run(**_):
        changed = type(case)(lambda: layer, shape=case.shape, tokens=case.tokens and getattr(layer, "tokens", 0))
        net = changed.network("float32")
        X, y = changed.data(3, "float32")
        net.fit(X, y, verbose=0)
        return net.predict(X)

    check.refuses(f"network of {type(layer).__name__}", name, value if value not in NEVER else 1, run)


def check_parts(check):
    """Constructors of everything else that is public, and functions."""
    places = [
        fnn,
        fnn.optimizers,
        fnn.schedules,
        fnn.metrics,
        fnn.losses,
        fnn.initializers,
        fnn.callbacks,
        fnn.datasets,
    ]
    public = [thing for place in places for name, thing in vars(place).items() if not name.startswith("_")]
    parts = {part for part in public if inspect.isfunction(part) or inspect.isclass(part)}
    for part in sorted(parts, key=repr):
        foreign = not part.__module__.startswith("fastnn") or inspect.isclass(part) and issubclass(part, BaseException)
        if foreign or part in fnn.Layer.known.values():
            continue
        signature = inspect.signature(part)
        required = {
            name: GIVEN.get(name) for name, parameter in signature.parameters.items()
            if parameter.default is parameter.empty and parameter.kind is not parameter.VAR_POSITIONAL
            and parameter.kind is not parameter.VAR_KEYWORD
        }  # fmt: skip
        for name, optional in sizes_in(signature):
            for value in values(optional):
                rest = {other: given for other, given in required.items() if other != name}
                check.refuses(part.__name__, name, value, partial(part, **rest))


def check_calls(check):
    """Methods of a network; after each refusal it is as it was."""
    net = fnn.Network([fnn.Dense(4, "tanh"), fnn.Dense(1)], input_shape=3, seed=0)
    needs = {"fit": (X, Y), "predict": (X,), "lr_find": (X, Y), "partial_fit": (X, Y), "stream": (), "build": (),
             "gradient_check": (X, Y)}  # fmt: skip
    for method in (name for name in dir(fnn.Network) if not name.startswith("_") and callable(getattr(net, name))):
        signature = inspect.signature(getattr(net, method))
        for name, optional in sizes_in(signature):
            for value in values(optional):
                before = net.params.tobytes()
                # a pass over billions of epochs is not nonsense, only long
                if name in ("epochs", "steps") and not isinstance(value, bool) and value in NUMBERS[2:11]:
                    continue
                done = check.refuses(method, name, value, partial(getattr(net, method), *needs[method]))
                if done is None and net.params.tobytes() != before:
                    check.bad.append(f"{method}({name}={str(value)[:30]}) was refused and changed the network")
    for value in (*NEVER, *NUMBERS[:2], *NUMBERS[10:]):
        for method in ("fit", "predict"):
            check.refuses(method, "threads", value, partial(getattr(net, method), *needs[method]))
    for make in (fnn.Input, lambda shape: fnn.Network([fnn.Dense(1)], input_shape=shape, seed=0)):
        for value in values(False):
            for shape in (value, (value,), (2, value), (value, value, value)):
                check.refuses("input", "shape", shape, make)


def own_peak():
    """Bytes; getrusage would count what the parent held as it forked."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+)", status)[1]) << 10


def main():
    import resource

    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
    check = Check()
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
    os.chdir(sys.argv[1])
    check_layers(check)
    check_parts(check)
    check_calls(check)
    peak = own_peak()
    if peak > SPARE + (128 << 20):
        check.bad.append(f"{peak >> 20} MB of memory were touched")
    print(f"{check.calls} calls, {peak >> 20} MB at most")
    print("\n".join(check.bad))
    sys.exit(bool(check.bad) or check.calls < 1000)


def test_nonsense_sizes(tmp_path):
    done = subprocess.run([sys.executable, __file__, tmp_path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]


if __name__ == "__main__":
    main()
