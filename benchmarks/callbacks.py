"""What a Python callback costs `fit`: the time of an epoch with none, with one called every epoch, and every batch.

    python benchmarks/callbacks.py [--rounds 15]

The callbacks do nothing themselves. Small networks on one thread, by turns; medians over the rounds, in microseconds.
"""

import argparse
import statistics
import time

import numpy as np

import fastnn as fnn

EPOCHS = 200
NETWORKS = {"1-1 [1]": ((1, 1), 1, 32), "64-32-10 [32]": ((64, 32, 10), 32, 1024)}  # sizes, batch, rows


class EachEpoch(fnn.Callback):
    def on_epoch_end(self, epoch, logs):
        pass


class EachBatch(fnn.Callback):
    def on_batch_end(self, batch, logs):
        pass


HEAD = """| network [batch] | epoch without, us | a callback each epoch, us | each batch, us |
| --- | --- | --- | --- |"""
KINDS = {"none": [], "epoch": [EachEpoch()], "batch": [EachBatch()]}


def seconds(network, x, y, batch, callbacks):
    start = time.perf_counter()
    network.fit(x, y, epochs=EPOCHS, batch_size=batch, callbacks=callbacks, verbose=0, threads=1)
    return time.perf_counter() - start


def row(name, rounds):
    """The line of a network: an epoch without callbacks, and what one costs an epoch and a batch."""
    sizes, batch, rows = NETWORKS[name]
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((rows, sizes[0])), rng.standard_normal((rows, sizes[-1]))
    layers = [fnn.Dense(units, "relu") for units in sizes[1:-1]] + [fnn.Dense(sizes[-1])]
    network = fnn.Network(layers, loss="mse", optimizer=fnn.SGD(1e-3), input_shape=sizes[0], seed=0)
    times = {kind: [] for kind in KINDS}
    for _ in range(rounds):
        for kind, callbacks in KINDS.items():
            times[kind].append(seconds(network, x, y, batch, callbacks) / EPOCHS * 1e6)
    none, epoch, each = (statistics.median(found) for found in times.values())
    return f"| {name} | {none:.1f} | {epoch - none:.1f} | {(each - none) / (rows // batch):.2f} |"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    print(HEAD)
    for name in NETWORKS:
        print(row(name, rounds), flush=True)


if __name__ == "__main__":
    main()
