"""
An autoencoder
==============

Two dense layers: the first compresses 64 pixels into 32 numbers, the second restores the pixels
from them. Nobody tells the network what the images show; it learns from the difference alone. We
write one whole training loop by hand, and find that ``fit`` does the same, bit for bit.
"""

# %%
# The data: 1,797 handwritten digits of 8 x 8 pixels. They stay bytes in memory, and become numbers
# in [0, 1] when they are used. 360 of them are kept for testing.

import numpy as np

from minienc.data import load_digits

digits = load_digits()
X_train = np.asarray(digits.x).reshape(-1, 64)
X_test = np.asarray(digits.test_x).reshape(-1, 64)
print(X_train.shape, X_train.dtype, f"{X_train.min()} to {X_train.max()}")

# %%
# The model, as in Keras. Applying a layer to a symbolic tensor computes nothing, it notes where the
# layer stands; a Model is everything between its inputs and its outputs.

from minienc.layers import Dense, Input
from minienc.models import Model

input_layer = Input(shape=(64,))
hidden_layer = Dense(units=32, activation="relu", seed=0)(input_layer)
output_layer = Dense(units=64, activation="sigmoid", seed=1)(hidden_layer)
autoencoder = Model(input_layer, output_layer)
autoencoder.summary()
W1, b1, W2, b2 = autoencoder.get_weights()  # copies, to begin from the same place

# %%
# Training by hand. For each batch: forward, loss, backward, and one step against the gradient.
# The last sigmoid and the loss are one function, which is exact where the sigmoid saturates.

from minienc.functions import (
    binary_crossentropy_backward,
    binary_crossentropy_forward,
    dense_backward,
    dense_forward,
)


def train_one_epoch(order, learning_rate=0.5, batch_size=32):
    total = 0.0
    for start in range(0, len(order), batch_size):
        x = X_train[order[start : start + batch_size]]
        h, hidden = dense_forward(x, W1, b1, activation="relu")
        z, output = dense_forward(h, W2, b2)
        loss, cache = binary_crossentropy_forward(z, x, from_logits=True)
        dz = binary_crossentropy_backward(1.0, cache)
        dh, dW2, db2 = dense_backward(dz, output)
        _, dW1, db1 = dense_backward(dh, hidden)
        for weights, gradient in ((W1, dW1), (b1, db1), (W2, dW2), (b2, db2)):
            weights -= learning_rate * gradient
        total += len(x) * float(loss)
    return total / len(order)


# %%
# The order of the samples is drawn from a generator of (seed, epoch, 0), as ``fit`` does; so a run
# can be repeated, and resumed anywhere.

seed = 7
by_hand = []
for epoch in range(5):
    order = np.random.default_rng([seed, epoch, 0]).permutation(len(X_train))
    by_hand.append(train_one_epoch(order))
print("by hand:", np.round(by_hand, 4))

# %%
# The same by ``fit``: the losses are equal, and so is every bit of the weights.

from minienc.training.optimizers import SGD

autoencoder.compile(optimizer=SGD(0.5), loss="binary_crossentropy")
history = autoencoder.fit(X_train, X_train, epochs=5, batch_size=32, seed=seed, verbose=0)
print("by fit: ", np.round(history.history["loss"], 4))
assert history.history["loss"] == by_hand
for mine, theirs in zip((W1, b1, W2, b2), autoencoder.get_weights(), strict=True):
    assert np.array_equal(mine, theirs)

# %%
# Now with Adam, which adapts the step of each weight, for longer.

autoencoder.compile(optimizer="adam", loss="binary_crossentropy")
history = autoencoder.fit(
    X_train,
    X_train,
    epochs=40,
    batch_size=32,
    shuffle=True,
    validation_data=(X_test, X_test),
    seed=seed,
    verbose=0,
)
losses = by_hand + history.history["loss"]
print(f"loss {losses[0]:.3f} -> {losses[-1]:.3f}; new digits {history.history['val_loss'][-1]:.3f}")
assert losses[-1] < 0.5 * losses[0]

# %%
# Is that good? A loss by itself says nothing. Beside it stand the mean digit, given as an answer to
# everything, and as many principal components as the code has numbers: the best linear code.

from minienc.pretraining import PCA, MeanSample

restored = autoencoder.predict(X_test)
error = ((X_test - restored) ** 2).sum(axis=1).mean()
mean = MeanSample().fit(X_train).reconstruction_error(X_test)
pca = PCA(32).fit(X_train).reconstruction_error(X_test)
print(f"squared error per digit: mean {mean:.2f}, autoencoder {error:.2f}, PCA {pca:.2f}")
assert error < 0.2 * mean

# %%
# The principal components are ahead: one layer each way, trained by cross-entropy, has little over
# a linear map when the code is as wide as 32. It is deeper networks and narrower codes that pull
# away, as ``minienc pretrain`` shows. Do not take an autoencoder's word for it; compare.

assert pca < error

# %%
# The encoder is half of the model that was trained; nothing is copied.

encoder = Model(input_layer, hidden_layer)
codes = encoder.predict(X_test)
print("codes:", codes.shape)
assert encoder.layers[0] is autoencoder.layers[0]

# %%
# Do the codes know about the classes, which training never saw? A linear probe asks. Beside it:
# the same on the pixels.

from minienc.finetuning import linear_probe

of_codes = linear_probe(encoder, X_train, digits.y, X_test, digits.test_y)
of_pixels = linear_probe(None, X_train, digits.y, X_test, digits.test_y)
print(f"linear classifier: {of_codes:.1%} on the codes, {of_pixels:.1%} on the pixels")
assert of_codes > 0.8
