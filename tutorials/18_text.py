"""
Text: word vectors, and a network that writes
=============================================

A text has no labels, and needs none: each word says something about the words beside it, and each
letter about the letter that follows. From the first we learn what words are alike; from the
second, to write.

You will be able to

- turn a text into numbers, and say what a word vector is;
- compute one step of word vectors on paper, and say which way each vector moves;
- write a recurrent network's backward through time, and say why it forgets;
- tell how good a model of text is, in bits a character, beside models that only count.

It needs tutorials 04 (shared weights), 05 (cross-entropy) and 09 (optimisers), and runs for about
half a minute.
"""

# %%
# On paper: which way a word moves
# --------------------------------
#
# Words that keep the same company mean similar things. So give each word a vector v, and let it
# tell who stands beside it: v is multiplied with the second vector u of another word, and
# sigmoid(u v) shall be 1 if that word did stand there, 0 if it was drawn from the vocabulary.
#
# Take v = (1, 2), the vector u_0 = (1, 0) of a word that stood beside it, and u_1 = (0, 1) of one
# that was drawn. Then
#
# .. code-block:: text
#
#     s   = (u_0 v, u_1 v)                      = (1, 2)
#     l   = -log sigmoid(1) - log sigmoid(-2)   = 0.3133 + 2.1269 = 2.4402
#     ds  = (sigmoid(1) - 1, sigmoid(2) - 0)    = (-0.2689, 0.8808)
#     dv  = ds_0 u_0 + ds_1 u_1                 = (-0.2689, 0.8808)
#
# You know ds from tutorial 01: the answer minus the truth. A step against dv moves v towards u_0
# and away from u_1.

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from minienc.functions import negative_sampling_backward, negative_sampling_forward

plt.rcParams["figure.facecolor"] = "white"
v, u = np.array([[1.0, 2.0]]), np.array([[[1.0, 0.0], [0.0, 1.0]]])
loss, cache = negative_sampling_forward(v, u)
dv, du = negative_sampling_backward(1.0, cache)
print(f"loss {loss:.4f}, dv {dv.round(4)}")
assert np.isclose(loss, 2.4402, atol=1e-4)
assert np.allclose(dv, [[-0.2689, 0.8808]], atol=1e-4)

# %%
# **Predict:** u_0 and u_1 are learned, too. Which way do they move in this step?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# du_0 = ds_0 v = -0.27 v, so u_0 moves along v; du_1 = 0.88 v, so u_1 moves against it. Then the
# words beside v's word agree with v, and so do all other words that stand beside them: that is
# how words come together which never met, but have the same neighbours.
#
# .. raw:: html
#
#     </details>

after_v, after_u = v - dv, u - du
plt.figure(figsize=(3.6, 3.3), layout="constrained")
for name, old, new, colour in (
    ("v", v[0], after_v[0], "#0072B2"),
    ("u_0, was there", u[0, 0], after_u[0, 0], "#009E73"),
    ("u_1, was drawn", u[0, 1], after_u[0, 1], "#D55E00"),
):
    plt.annotate("", new, old, arrowprops={"arrowstyle": "->", "color": colour})
    plt.plot(*old, "o", color=colour, label=name)
plt.axhline(0, color="0.8", zorder=0)
plt.axvline(0, color="0.8", zorder=0)
plt.axis((-1.2, 2.2, -1.2, 2.2))
plt.title("one step (learning rate 1)")
plt.legend(loc="lower right")
assert after_u[0, 0] @ v[0] > u[0, 0] @ v[0] and after_u[0, 1] @ v[0] < u[0, 1] @ v[0]

# %%
# A text becomes numbers
# ----------------------
#
# The plays of Shakespeare: a million characters. A tokenizer cuts the text into words, keeps the
# most frequent ones, and gives each a number; all others are "unknown". An embedding is a matrix
# with a row for each number, so what a network sees of a word is its row, and nothing else.

from minienc.data.text import read_shakespeare, split_text
from minienc.language import WordVectors

text, held_out = split_text(read_shakespeare())
method = WordVectors(embedding=32, vocab_size=3000, steps_per_epoch=500, epochs=8, random_state=0)
method.fit(text)
ids = method.tokenizer_.encode("the king and the queen")
print(f"{len(text):,} characters; 'the king and the queen' is {ids}")
assert ids[0] == ids[3]

# %%
# What was learned: the words whose vectors have the smallest angle to that of each word. Nobody
# said that a father is like a brother: both have sons, and come home, and die. (The plays are a
# short text to learn from: some of the neighbours are there by chance.)

for word in ("father", "king", "hand", "good"):
    print(f"{word:8s}", *method.nearest(word))

# %%
# **Predict:** which is larger, the mean cosine of two words of family, or that of one of family and
# one of the body? And before training, when all vectors are random?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Within a group it is larger. Random vectors of 32 numbers stand nearly at right angles, so it was
# about 0 for all. (We take the mean of all vectors off first: all of these words are nouns that
# stand beside "the" and "my", so all have something in common.)
#
# .. raw:: html
#
#     </details>

groups = {
    "family": "father mother son daughter brother wife husband",
    "rank": "king queen duke prince",
    "body": "hand eyes heart head face tongue",
}
words = [word for group in groups.values() for word in group.split()]
kind = np.array([k for k, group in enumerate(groups.values()) for _ in group.split()])
V = method.vectors()[[method.tokenizer_.encode(word)[0] for word in words]]
V = V - V.mean(axis=0)
C = (V @ V.T) / np.outer(np.linalg.norm(V, axis=1), np.linalg.norm(V, axis=1))
together = (kind[:, None] == kind) & ~np.eye(len(words), dtype=bool)
within, between = C[together].mean(), C[kind[:, None] != kind].mean()
print(f"mean cosine within a group {within:.2f}, between groups {between:.2f}")
assert within > between + 0.15

# %%
# The same words on the two axes along which they differ most (their principal components).

_, _, axes = np.linalg.svd(V, full_matrices=False)
places = V @ axes[:2].T
plt.figure(figsize=(5.5, 4.5), layout="constrained")
for k, (name, colour) in enumerate(zip(groups, ["#0072B2", "#D55E00", "#009E73"], strict=True)):
    plt.plot(*places[kind == k].T, "o", color=colour, label=name)
for word, (a, b) in zip(words, places, strict=True):
    plt.annotate(word, (a, b), (3, 3), textcoords="offset points", fontsize=8)
plt.legend()
plt.xlabel("first component")
plt.ylabel("second component")
assert V.shape == (17, 32)

# %%
# A memory, on paper
# ------------------
#
# A sentence is more than its words: their order counts. A recurrent network reads them one after
# another, and what it keeps is a state h. Here it is one number, without a bend:
#
# .. code-block:: text
#
#     h_t = w x_t + u h_(t-1),   w = 1,  u = 0.5,  x = (1, 0, 0)
#     h   = (1, 0.5, 0.25)
#
# The loss shall be h_3 = u^2 w. School calculus: d h_3 / du = 2 u w = 1, and d h_3 / dw = u^2 =
# 0.25. The same weights are used at each step, so each step gives them a gradient, and they add,
# as in tutorial 04. Backwards, with dh_3 = 1:
#
# .. code-block:: text
#
#     dh_3 = 1,  dh_2 = u dh_3 = 0.5,  dh_1 = u dh_2 = 0.25
#     du   = dh_3 h_2 + dh_2 h_1 + dh_1 h_0 = 0.5 + 0.5 + 0 = 1
#     dw   = dh_3 x_3 + dh_2 x_2 + dh_1 x_1 = 0   + 0   + 0.25

from minienc.functions import rnn_backward, rnn_forward

x = np.array([1.0, 0.0, 0.0]).reshape(1, 3, 1)  # samples, steps, features
w, u = np.array([[1.0]]), np.array([[0.5]])
(y, last), cache = rnn_forward(x, w, u, activation="identity")
dx, dw, du, _, _ = rnn_backward((np.zeros_like(y), np.ones_like(last)), cache)
print(f"h {y.ravel()}, du {du.item()}, dw {dw.item()}")
assert np.array_equal(y.ravel(), [1, 0.5, 0.25]) and du.item() == 1 and dw.item() == 0.25

# %%
# Walk through it. Each step of the sequence is a cell that calls the same lines; on the way back,
# watch dU grow.

import minienc
from minienc.layers import Input, SimpleRNN
from minienc.models import Model
from minienc.training.optimizers import SGD

steps = Input((3, 1), dtype="float64")
model = Model(steps, SimpleRNN(1, activation="identity", use_bias=False)(steps))
model.set_weights([w, u])
model.compile(SGD(0.1), "mean_squared_error")
minienc.step(model, x, np.zeros((1, 1)))

# %%
# Why it forgets
# --------------
#
# **Predict:** with u = 0.5, what does the loss at step 20 still know of the first word? With
# u = 1.5?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# dh_1 = u^19 dh_20: two millionths of it, or two thousand times as much. A gradient through time is
# a product of as many factors as there are steps: it vanishes or explodes, unless the factors are
# near 1. With more units there is a matrix U, and how much it stretches takes the place of u.
#
# .. raw:: html
#
#     </details>

rng = np.random.default_rng(0)
T, M = 20, 16
turn = np.linalg.qr(rng.standard_normal((M, M)))[0]  # keeps lengths as they are
plt.figure(figsize=(5, 3), layout="constrained")
reach = {}
for stretch in (0.5, 0.9, 1.0, 1.5):
    (y, last), cache = rnn_forward(
        np.zeros((1, T, M)), np.eye(M), stretch * turn, activation="identity"
    )
    dx = rnn_backward((np.zeros_like(y), np.ones_like(last)), cache)[0]
    reach[stretch] = np.linalg.norm(dx[0], axis=1)
    plt.plot(np.arange(1, T + 1), reach[stretch], ".-", label=f"U stretches by {stretch}")
plt.yscale("log")
plt.xlabel("step that was read")
plt.ylabel("length of its gradient")
plt.xticks(range(1, T + 1, 3))
plt.legend()
assert np.isclose(reach[0.5][0] / reach[0.5][-1], 0.5**19)
assert np.isclose(reach[1.5][0] / reach[1.5][-1], 1.5**19)

# %%
# A gate is the cure: h_t = z_t h_(t-1) + (1 - z_t) (something new), where a sigmoid says for each
# unit how much is kept. Where z is near 1, the factor is near 1, for as long as it is wanted. The
# GRU (gated recurrent unit) has two gates, the LSTM (long short-term memory) three, and both learn
# when to open them.
#
# What comes next?
# ----------------
#
# Now let it read letters, and say at each what the next one is: a softmax over the 65 characters of
# the plays. The loss is the cross-entropy; divided by log 2 it is in bits, how many yes-or-no
# questions the next character is still worth. First the models that only count: all characters
# alike; how often each occurs; how often after the one before it (n = 2), after two (n = 3). Where
# letters were never seen together, a shorter piece is asked: Kneser and Ney found how to mix them.

from minienc.language import KneserNey

n_characters = len(set(text))
bits, unseen = {"all alike": np.log2(n_characters)}, held_out[:20_000]
for n in (1, 2, 3, 6):
    nats = KneserNey(n).fit(text).nats_per_character(unseen)
    bits[f"counted, n = {n}"] = nats / np.log(2)
for name, value in bits.items():
    print(f"{name:15s} {value:.2f} bits a character")
assert n_characters == 65

# %%
# Then a GRU of 128 units, which reads the plays in 32 places at once, and carries its state from
# window to window. It learns for about fifteen seconds of one processor.

from minienc.language import RNNLanguageModel

writer = RNNLanguageModel(
    cell="gru",
    hidden=(128,),
    embedding=32,
    batch_size=32,
    dropout=0.0,
    learning_rate=6e-3,
    epochs=8,
    steps_per_epoch=200,
    random_state=0,
)
writer.fit(text, validation_data=unseen)
curve = np.array(writer.history_["val_loss"]) / np.log(2)
print(f"GRU: {curve[-1]:.2f} bits a character")

# %%
# The lines are the counting models. The network passes them one after another, all but n = 6, which
# remembers every six letters of the text. With more units and some minutes a network passes that,
# too: on all plays that were held out 2.09 bits, where counting has 2.25 (:doc:`Figures </figures>`
# has the table).

plt.figure(figsize=(5, 3.2), layout="constrained")
plt.plot(200 * np.arange(1, len(curve) + 1), curve, ".-", label="GRU")
for name, value in bits.items():
    if name != "all alike":
        plt.axhline(value, color="0.6", linewidth=1)
        plt.text(1600, value + 0.04, name, ha="right", fontsize=9)
plt.xlabel("training steps")
plt.ylabel("bits a character, held out")
plt.ylim(2, 5.1)
plt.legend(loc=(0.05, 0.65))
assert bits["counted, n = 6"] < curve[-1] < bits["counted, n = 3"]

# %%
# Writing
# -------
#
# To write, draw the next letter from the softmax, feed it in, draw again. The logits are divided by
# a temperature first.
#
# **Predict:** what does it write at temperature 0.2, at 0.7, at 1.5?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# At 0.2 only the likeliest are drawn: words, and often the same ones. At 1.5 unlikely ones come as
# well: hardly a word. In between it looks like a play from some way off. It has learned to
# spell, and where names and new lines stand; of what is said it knows nothing.
#
# .. raw:: html
#
#     </details>

variety = {}
for temperature in (0.2, 0.7, 1.5):
    written = writer.generate("ROMEO:\n", 400, temperature=temperature, random_state=1)
    variety[temperature] = len(set(written.split())) / len(written.split())
    print(f"--- temperature {temperature}\n{written[:220]}")
print({t: f"{v:.0%} different words" for t, v in variety.items()})
assert variety[0.2] < variety[0.7] < variety[1.5]

# %%
# What is the state good for? Someone who pretrains wants the vectors and states, not the plays: a
# classifier of texts begins with them, as one of images began with codes in tutorial 14.

codes = writer.transform(unseen)
print("a code for each window of 64 characters:", codes.shape)
assert codes.shape[1] == 128

# %%
# Exercises
# ---------
#
# **Exercise 18.1.** Give the network on paper a bend, h_t = tanh(w x_t + u h_(t-1)), and work out
# du again: each dh is multiplied with the slope 1 - h^2 before it goes on. Check yourself with
# ``rnn_backward``. Does a bend make gradients vanish sooner, or later?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# h = 0.762, 0.363, 0.180 and du = 0.671, where the network without a bend has 1. Sooner: the
# gradient by the first x is 0.088 in the place of 0.25.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 18.2.** Shuffle all words of the plays (``" ".join(rng.permutation(text.split()))``)
# and learn word vectors from that. What is left of the groups, and why? Then shuffle within each
# line only. What does that say about what word vectors know of grammar?
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Mean cosine within and between groups: -0.01 and -0.08 after shuffling all words, 0.27 and -0.21
# after shuffling within lines; on this page 0.34 and -0.23.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.negative_sampling_forward` and the class
#   :class:`minienc.language.WordVectors`.
# - :func:`minienc.functions.rnn_forward` and :func:`minienc.functions.rnn_backward`; with gates,
#   :func:`minienc.functions.gru_forward` and :func:`minienc.functions.lstm_forward`.
# - :class:`minienc.language.RNNLanguageModel`, and :class:`minienc.language.KneserNey` that counts.
