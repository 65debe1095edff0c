"""What a user with a type checker writes; mypy checks it against the installed package, and CI runs it too."""

import numpy as np

import fastnn as fnn

X, y = fnn.datasets.load_vending()
net: fnn.Network = fnn.Network(
    [fnn.Dense(8, activation="tanh"), fnn.Dropout(0.1), fnn.Dense(1)],
    loss=fnn.losses.Huber(delta=2.0),
    optimizer=fnn.AdamW(0.01),
    metrics=["mae"],
    seed=0,
)
history: fnn.History = net.fit(X, y, epochs=20, batch_size=10, validation_split=0.2, verbose=0)
losses: list[float] = history["val_loss"]
predictions: np.ndarray = net.predict(X)
text: str = net.summary()
assert len(losses) == len(history.epochs) == 20 and predictions.shape == (50, 1) and "layers.2" in text
try:
    net.predict(X[:, :1])
except fnn.ShapeError as error:
    print(error)
