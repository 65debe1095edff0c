"""scikit-learn's MLP. With warm_start an epoch goes on from the last weights; each call of fit makes a new Adam."""

from .base import BETAS, EPSILON, LEARNING_RATE, Peer, Unfit


class Sklearn(Peer):
    name = "scikit-learn"

    def version(self):
        import sklearn

        return sklearn.__version__

    def estimator(self, rung, X, y, batch):
        """One with the rung's weights: there are none to set before a first fit."""
        from sklearn.neural_network import MLPClassifier, MLPRegressor

        if len(rung.sizes) < 3:
            raise Unfit("needs a hidden layer")
        kind = MLPClassifier if rung.classes else MLPRegressor
        adam = {"learning_rate_init": LEARNING_RATE, "beta_1": BETAS[0], "beta_2": BETAS[1], "epsilon": EPSILON}
        never_stop = {"tol": 0.0, "n_iter_no_change": 10**9, "max_iter": 1, "warm_start": True}
        model = kind(
            hidden_layer_sizes=rung.sizes[1:-1], alpha=0.0, batch_size=batch, random_state=0, **adam, **never_stop
        )
        model.fit(X, y)
        for i, (weight, bias) in enumerate(rung.weights):
            model.coefs_[i][:], model.intercepts_[i][:] = weight, bias
        return model

    def train(self, rung, shuffle=True):
        def make():
            X, y = rung.data
            y = y if rung.classes else y.ravel()
            model = self.estimator(rung, X, y, rung.batch).set_params(max_iter=rung.epochs, shuffle=shuffle)
            # Its regression loss is half of the mean squared error.
            factor = 1 if rung.classes else 2
            return lambda: factor * model.fit(X, y).loss_

        return {"": make}

    def steps(self, rung):
        return rung.steps * rung.epochs

    def predict(self, rung):
        def make():
            import numpy as np

            rng = np.random.default_rng(0)
            X = rng.standard_normal((20, rung.sizes[0]), dtype=np.float32)
            model = self.estimator(rung, X, np.arange(20) % 10 if rung.classes else X[:, 0], 20)
            predict = model.predict_proba if rung.classes else model.predict
            return lambda: predict(rung.data)

        return {"": make}
