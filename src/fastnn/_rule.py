"""An optimizer's rule over the flat vectors of a network: the ops of the update phase."""

from __future__ import annotations

from ._vectors import aligned_vector


class Rule:
    """An optimizer over the flat vectors of a network, whose slots it makes where they are missing.

    Parameters whose layers have a learning rate factor of 0, or are not trainable, are `frozen`.
    """

    def __init__(self, memory, optimizer, keeps_gradients):
        self.memory, self.optimizer = memory, optimizer
        self.frozen = {param for param in memory.graph.params.values() if not param.factor}
        self.slots = memory.engine.OPTIMIZERS[optimizer.update][1]
        self.fuses = not keeps_gradients and optimizer.clip_norm is None and optimizer.clip_value is None
        for slot in self.slots:
            if slot not in memory.slots:
                memory.slots[slot] = aligned_vector(memory.params.size, memory.dtype)
                for param in memory.graph.params.values():
                    param.flat(memory.slots[slot])[:] = optimizer.first_value(slot, param.factor)

    def over(self, begin, end, factor, fused=False):
        """The rule's op for elements begin, ..., end - 1, with that factor of the learning rate."""
        params, grads, *slots = (
            vector[begin:end]
            for vector in (self.memory.params, self.memory.grads, *(self.memory.slots[slot] for slot in self.slots))
        )
        settings = self.optimizer.settings()
        return self.memory.engine.OPS["update"](self.optimizer.update, params, grads, slots, settings, factor, fused)

    def update(self, fused):
        """Ops of the update phase: clipping, the rule for all but the frozen parameters, and constraints."""
        ops, optimizer, memory = self.memory.engine.OPS, self.optimizer, self.memory
        freezes = [ops["freeze"](param.flat(memory.grads)) for param in self.frozen]
        clips = [
            ops[kind](memory.grads, limit)
            for kind, limit in (("clip_norm", optimizer.clip_norm), ("clip_value", optimizer.clip_value))
            if limit is not None
        ]
        rules = [self.over(*stretch) for stretch in self._stretches(fused)]
        return [*freezes, *clips, *fused.values(), *rules, *memory.constraints(self.frozen)]

    def _stretches(self, fused):
        """(begin, end, factor) of neighbours with the same factor, without the parameters that have no rule here."""
        found = []
        for param in sorted(self.memory.graph.params.values(), key=lambda param: param.offset):
            begin, end = param.offset, param.offset + param.size
            if param in fused or param in self.frozen:
                continue
            if found and found[-1][1:] == (begin, param.factor):
                begin = found.pop()[0]
            found.append((begin, end, param.factor))
        return found
