"""One peer with one number of threads, in a process of its own, which waits on a pipe while the others are measured.

Lines of JSON in: {"task": "train" | "predict", "rung": i} prepares, {"seconds": s} measures for about s seconds,
{"stop": true} ends. Lines of JSON out: {"version"}, {"ready"}, {"time", "loss"}, or {"missing": why}.
"""

import gc
import json
import os
import sys
import time
import warnings


def main():
    # Whatever a library prints goes to stderr; the pipe carries the answers alone.
    out = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    warnings.simplefilter("ignore")
    import peers
    import rungs

    peer = next(p for p in peers.PEERS if p.name == sys.argv[1])()

    def say(**answer):
        out.write(json.dumps(answer) + "\n")

    try:
        say(version=peer.version())
    except ImportError as error:
        say(missing=str(error))
        return
    run = per_call = None
    for line in sys.stdin:
        order = json.loads(line)
        if "stop" in order:
            return
        if "task" in order:
            try:
                training = order["task"] == "train"
                rung = (rungs.TRAINING if training else rungs.PREDICTION)[order["rung"]]
                run = peer.train(rung) if training else peer.predict(rung)
                first = run()
                per_call = rung.steps * peer.epochs if training else 1
                say(ready=True, loss=first if training else None)
            except Exception as error:  # a peer that cannot do a rung is named, and the others go on
                say(missing=f"{type(error).__name__}: {error}")
            continue
        gc.collect()
        count, result, start = 0, None, time.perf_counter()
        while (now := time.perf_counter()) - start < order["seconds"] or count < 2:
            result = run()
            count += 1
        say(time=(now - start) / count / per_call, loss=result if isinstance(result, float) else None)


main()
