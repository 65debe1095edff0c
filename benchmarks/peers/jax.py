"""JAX: all of an epoch in one scan under jit, its state donated. Small networks are trained for many epochs a call:
in a scan around that one, so that all of them are one call, or by a loop in Python with a call for each."""

from functools import partial

from .base import BETAS, EPSILON, LEARNING_RATE, Peer, Unfit


class Jax(Peer):
    name = "JAX"

    def epochs_of_call(self, rung):
        return rung.epochs

    def version(self):
        import jax

        return jax.__version__

    def train(self, rung, shuffle=True):
        # One flat vector makes Adam one loop, which small networks gain from and large ones pay for in copies.
        ways = {"tree of arrays": False, "flat vector": True}
        return {way: partial(self.epochs, rung, shuffle, flat) for way, flat in ways.items()}

    def steps(self, rung):
        return rung.steps * rung.epochs

    def epochs(self, rung, shuffle, flat):
        import jax
        import jax.numpy as jnp
        import numpy as np
        from jax.flatten_util import ravel_pytree

        X, y = (jnp.asarray(array) for array in rung.data)
        if flat:
            start, unflat = ravel_pytree(rung.weights)
        else:
            start, unflat = jax.tree.map(jnp.asarray, rung.weights), lambda tree: tree

        def loss_of(params, x, y):
            out = forward(unflat(params), x)
            if rung.classes:
                return -jnp.take_along_axis(jax.nn.log_softmax(out), y[:, None], 1).mean()
            return ((out - y) ** 2).mean()

        def step(carry, index):
            params, m, v, t = carry
            loss, grads = jax.value_and_grad(loss_of)(params, X[index], y[index])
            t = t + 1
            m = jax.tree.map(lambda m, g: BETAS[0] * m + (1 - BETAS[0]) * g, m, grads)
            v = jax.tree.map(lambda v, g: BETAS[1] * v + (1 - BETAS[1]) * g * g, v, grads)
            rate, root = LEARNING_RATE / (1 - BETAS[0] ** t), 1 / jnp.sqrt(1 - BETAS[1] ** t)
            params = jax.tree.map(lambda p, m, v: p - rate * m / (jnp.sqrt(v) * root + EPSILON), params, m, v)
            return (params, m, v, t), loss

        def epoch(carry, _):
            state, key = carry
            key, use = jax.random.split(key)
            order = jax.random.permutation(use, rung.rows) if shuffle else jnp.arange(rung.rows)
            state, losses = jax.lax.scan(step, state, order.reshape(rung.steps, rung.batch))
            return (state, key), losses.mean()

        in_call = self.epochs_of_call(rung)

        @partial(jax.jit, donate_argnums=0)
        def train(carry):
            if in_call == 1:
                return epoch(carry, None)
            return jax.lax.scan(epoch, carry, None, length=in_call)

        def zeros():
            return jax.tree.map(jnp.zeros_like, start)

        carry = (start, zeros(), zeros(), jnp.float32(0)), jax.random.key(0)

        def run():
            # Losses stay where JAX has them until the last: reading each would keep the next call waiting.
            nonlocal carry
            for _ in range(rung.epochs // in_call):
                carry, losses = train(carry)
            return float(np.asarray(losses).flat[-1])

        return run

    def predict(self, rung):
        def make(closed):
            import jax
            import jax.numpy as jnp
            import numpy as np

            def answer(params, x):
                x = forward(params, x)
                return jax.nn.softmax(x) if rung.classes else x

            if closed:
                call = jax.jit(partial(answer, rung.weights))
            else:
                call = partial(jax.jit(answer), jax.tree.map(jnp.asarray, rung.weights))
            return lambda: np.asarray(call(rung.data))

        return {"weights as arguments": partial(make, False), "weights as constants": partial(make, True)}


class JaxByEpoch(Jax):
    """A call an epoch, as training loops have it that look at the loss, or at the clock, in between."""

    name = "JAX by epoch"

    def epochs_of_call(self, rung):
        return 1

    def train(self, rung, shuffle=True):
        if not rung.small:  # as JAX
            raise Unfit
        return super().train(rung, shuffle)

    def predict(self, rung):
        raise Unfit


def forward(params, x):
    from jax.nn import relu

    for weight, bias in params[:-1]:
        x = relu(x @ weight + bias)
    weight, bias = params[-1]
    return x @ weight + bias
