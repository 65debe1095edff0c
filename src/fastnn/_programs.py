"""The compiled programs of a network: made when first needed, kept for the next call, lent to one caller at a time.

Threads that predict at the same time each get a program of their own over the shared parameters. Knows nothing of
arrays that users pass, nor of epochs.
"""

from . import _adapt, _compile
from ._graph import Value
from ._locks import brief
from ._rule import Rule
from ._vectors import Memory
from .layers.base import Layer

KEPT = 16  # programs that wait for another call; more come only from many threads or many batch sizes
PREDICT_BYTES = 256 * 1024  # of activations in a prediction batch: they stay in the second-level cache
RELEASE_WORK = 100_000  # multiply-adds, a few microseconds: below, giving up the GIL costs more than it gives others
PARALLEL_WORK = 1_000_000  # multiply-adds that are worth another thread: about 20 us, several times the pool's wake-up


class State:
    """What a network has once its shapes are known: graph, memory, counters, and programs.

    Parameters that no length shapes serve sequences (or images) of other lengths too: `graph_for` has their graph. They
    are 0 until `memory.initialize` draws them, or those of a saved network are read into them.
    """

    COUNTERS = ("steps", "epochs", "first_epoch")  # what is saved of it beside the arrays

    def __init__(self, structure, graph, dtype, precision, seed):
        self.structure, self.graph = structure, graph
        self._graphs = {(tuple(value.shape for value in graph.inputs), ()): graph}
        self.memory = Memory(graph, dtype)
        self.precision, self.seed = precision, seed
        self.steps = 0  # optimizer steps so far
        self.epochs = 0  # epochs so far: each has an order of its own
        self.first_epoch = 0  # the one that the optimizer began with, from which schedules count
        self._factors = None  # of the learning rate, by parameter, and when that was looked up
        self._free: list[tuple] = []
        self._generation = 0  # of programs: those that are lent while their kind is forgotten do not come back

    def graph_for(self, shapes, padded=()):
        """The graph for inputs of these shapes, of which those in `padded` have masks; it shares all parameters.

        Raises ShapeError where a layer cannot do with these shapes what it was built for.
        """
        key = shapes, padded
        graph = self._graphs.get(key)
        if graph is None:
            graph = self.structure.plan(shapes, padded, known=self.graph)
            with brief:
                while len(self._graphs) > KEPT:  # the first is the network's own
                    del self._graphs[list(self._graphs)[1]]
                self._graphs[key] = graph
        return graph

    def reset_optimizer(self):
        """Forgets the optimizer's slots and steps, and every program that is bound to them."""
        self.memory.slots.clear()
        self.steps, self.first_epoch = 0, self.epochs
        self.forget_programs()

    def forget_programs(self):
        with brief:
            self._generation += 1
            self._free.clear()

    def factors(self):
        """The factor of the learning rate of every parameter; 0 where it is frozen."""
        if self._factors is None or self._factors[0] != Layer.changes:
            self._factors = Layer.changes, tuple(param.factor for param in self.graph.params.values())
        return self._factors[1]

    def take(self, mode, batch, *, graph=None, losses=(), targets=(), weighted=False, record=False, optimizer=None,
             keeps_gradients=True, accumulate=1, toward=(), threads=1):  # fmt: skip
        """A program for one caller; `give` it back. `targets` holds (kind, shape) for each output; losses may be None.

        graph: one of `graph_for`; the default is the network's own.
        keeps_gradients: whether all gradients of a training step are stored, for whoever may read them after it.
        accumulate: how many batches' gradients make one.
        record: True for the outputs, or a tuple of values of the graph; toward: inputs whose gradients are kept.
        """
        settings = () if optimizer is None else tuple(
            (name, value) for name, value in optimizer.config().items() if name != "learning_rate"
        )  # fmt: skip
        factors = self.factors() if mode in _compile.TRAINS else ()
        graph = graph or self.graph
        # The network's own losses change with the generation; others, and outputs without one, differ by their classes.
        kinds = tuple(map(type, losses))
        key = (
            self._generation, graph, mode, batch, kinds, targets, weighted, record, settings, factors,
            keeps_gradients, accumulate, toward,
        )  # fmt: skip
        with brief:
            compiled = next((self._free.pop(i)[1] for i, (known, _) in enumerate(self._free) if known == key), None)
        if compiled is None:
            compiled = self.compile(
                graph, mode, batch, losses, targets, weighted, record, optimizer, keeps_gradients, accumulate, toward
            )
        compiled.program.set_threads(threads)
        return key, compiled

    def give(self, taken):
        """Keeps a program for the next caller."""
        taken[1].release()
        with brief:
            if taken[0][0] == self._generation:
                self._free.append(taken)
                del self._free[:-KEPT]

    def compile(
        self, graph, mode, batch, losses=(), targets=(), weighted=False, record=False, optimizer=None,
        keeps_gradients=True, accumulate=1, toward=(),
    ):  # fmt: skip
        """A new program, for as long as the caller keeps it; NotFittedError where a layer has not learned yet."""
        _adapt.expect_adapted(self.memory, graph)
        heads = [
            _compile.Head(loss, output, Value(shape, kind))
            for loss, output, (kind, shape) in zip(losses, graph.outputs, targets, strict=True)
            if loss is not None
        ] if losses else []  # fmt: skip
        keeps_gradients = keeps_gradients or accumulate > 1
        rule = None if optimizer is None else Rule(self.memory, optimizer, keeps_gradients)
        return _compile.compile_program(
            graph, self.memory, mode, batch, heads=heads, weighted=weighted, record=record,
            precision=self.precision, seed=self.seed, rule=rule, accumulate=accumulate, toward=toward,
        )  # fmt: skip

    def predict_batch(self, n, graph, least=32):
        """Rows of a prediction batch: the activations stay in cache; a power of two, so that few sizes occur."""
        widest = max((op.output.size for op in graph.ops), default=1)
        fits = max(least, min(1024, PREDICT_BYTES // (2 * widest * self.memory.dtype.itemsize)))
        rows = 1 << (fits.bit_length() - 1)
        while rows >= 2 * n:
            rows //= 2
        return rows

    def workers(self, n, graph, batches, threads):
        """Programs that are worth running side by side for n rows."""
        return max(1, min(threads, batches, graph.work * n // PARALLEL_WORK))
