"""
Attention, and a tiny Transformer
=================================

A recurrent network carries all that it has read in one state. Attention keeps every step, and
lets each one look back and take what it needs. A Transformer is little more than that.

You will be able to

- compute attention and its gradients on paper;
- say why scores are divided by the root of D, and what a mask is for;
- say why attention needs to be told where a word stands, and how that is done;
- read a map of attention, and see where a small Transformer looks.

It needs tutorials 05 (the softmax) and 18 (text), and runs for about half a minute.
"""

# %%
# On paper
# --------
#
# Think of a drawer with labels. A query q asks; each key k_j says how well it fits, by a product; a
# softmax turns the scores into weights p; and the answer is the mean of the values v_j with these
# weights. Two queries, two keys, two values of one number each:
#
# .. code-block:: text
#
#     q = (1, -1),  k = (0, log 3),  v = (4, 8)
#
#     s = q k' =  0   log 3      p =  1/4  3/4      y = p v = 1/4 * 4 + 3/4 * 8 = 7
#                 0  -log 3           3/4  1/4                3/4 * 4 + 1/4 * 8 = 5
#
# The first query takes most from the second value, the second from the first.

# sphinx_gallery_thumbnail_number = 2
import matplotlib.pyplot as plt
import numpy as np

from minienc.functions import attention_backward, attention_forward

plt.rcParams["figure.facecolor"] = "white"
q, k, v = (np.array(a)[:, None] for a in ([1.0, -1.0], [0.0, np.log(3)], [4.0, 8.0]))
y, cache = attention_forward(q, k, v)
print("p\n", cache.p, "\ny", y.ravel())
assert np.allclose(cache.p, [[1 / 4, 3 / 4], [3 / 4, 1 / 4]]) and np.allclose(y.ravel(), [7, 5])

# %%
# **Predict:** we would like y_1 to be larger (dy = (1, 0)). What are the gradients of the two
# values? Should the first query agree more with the second key, or less?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# A value receives as much as it gave: dv = p' dy = (1/4, 3/4). For the scores, dp = dy v' = (4, 8),
# the mean of which by p is 7, and ds = p (dp - 7) = (-3/4, 3/4): more weight for whoever is above
# the mean. So dk = ds' q = (-3/4, 3/4), and dq_1 = ds k = 3/4 log 3: more.
#
# .. raw:: html
#
#     </details>

dq, dk, dv = attention_backward(np.array([[1.0], [0.0]]), cache)
print("dq", dq.ravel().round(3), "dk", dk.ravel(), "dv", dv.ravel())
assert np.allclose(dv.ravel(), [1 / 4, 3 / 4])
assert np.allclose(dk.ravel(), [-3 / 4, 3 / 4])
assert np.allclose(dq.ravel(), [3 / 4 * np.log(3), 0])

# %%
# Why the root of D
# -----------------
#
# Queries and keys have D numbers each. If those are random, with mean 0 and variance 1, a product
# q k is a sum of D terms of variance 1: its variance is D. Large scores make the softmax hard: one
# key gets everything, and ds = p (dp - ...) is 0 for all. Divided by the root of D, scores have
# variance 1 whatever D is.

rng = np.random.default_rng(0)
sizes = 2 ** np.arange(0, 11)
largest = {"s = q k'": [], "s = q k' / sqrt(D)": []}
for D in sizes:
    q, k = rng.standard_normal((2, 200, 16, D))
    v = np.zeros((200, 16, 1))
    for name, factor in (("s = q k'", np.sqrt(D)), ("s = q k' / sqrt(D)", 1.0)):
        p = attention_forward(factor * q, k, v)[1].p
        largest[name].append(p.max(axis=-1).mean())
plt.figure(figsize=(5, 3), layout="constrained")
for name, values in largest.items():
    plt.plot(sizes, values, ".-", label=name)
plt.xscale("log", base=2)
plt.xlabel("D, numbers of a query")
plt.ylabel("largest of 16 weights (mean)")
plt.ylim(0, 1)
plt.legend()
assert largest["s = q k'"][-1] > 0.9 and largest["s = q k' / sqrt(D)"][-1] < 0.4

# %%
# Walk through it
# ---------------
#
# In a network, queries, keys and values are made of the steps themselves, by three dense layers,
# and a fourth one mixes what was taken. Several such attentions side by side, each in numbers of
# its own, are called heads; here it is one. The page shows the two products, and the softmax
# between them, forward and backward.

import minienc
from minienc.layers import Dense, Embedding, Input, MultiHeadAttention, PositionEmbedding
from minienc.models import Model
from minienc.training.optimizers import SGD, Adam

steps = Input((2, 2), dtype="float64")
attention = MultiHeadAttention(1, 2, use_bias=False, seed=1)
model = Model(steps, attention(steps))
model.compile(SGD(0.1), "mean_squared_error")
x = np.array([[[1.0, 0.0], [0.0, 1.0]]])
minienc.step(model, x, np.zeros_like(x))

# %%
# A set has no order
# ------------------
#
# **Predict:** the keys and their values change places (both in the same way). What happens to y?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# Nothing: a sum does not ask in which order. To attention "dog bites man" is "man bites dog". So
# a step must say where it stands. The simplest way is to add a vector for each place, which is
# learned like everything else (``PositionEmbedding``).
#
# .. raw:: html
#
#     </details>

q, k, v = rng.standard_normal((3, 5, 4))
order = rng.permutation(5)
assert np.allclose(attention_forward(q, k, v)[0], attention_forward(q, k[order], v[order])[0])
print("the order", order, "changes nothing")

# %%
# A task that is all looking
# --------------------------
#
# Sequences of 10 letters, drawn from 8, are to be written backwards. The letter that step t wants
# is at step 9 - t. One attention with one head is asked, and beside it a network that is the same
# but for the attention.

T, n_letters = 10, 8
x = rng.integers(0, n_letters, (4000, T))
x_test = rng.integers(0, n_letters, (500, T))
looked = {}
for name in ("with attention", "without"):
    ids = Input((T,), dtype="int32")
    h = PositionEmbedding(seed=1)(Embedding(n_letters, 32, seed=0)(ids))
    if name == "with attention":
        h = MultiHeadAttention(1, 32, seed=2, name="attention")(h)
    else:
        h = Dense(32, "relu", seed=2)(h)
    model = Model(ids, Dense(n_letters, "softmax", seed=3)(h))
    model.compile(Adam(5e-3), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x, x[:, ::-1].copy(), epochs=15, batch_size=64, seed=0, verbose=0)
    looked[name] = model, model.evaluate(x_test, x_test[:, ::-1].copy())[1]
    print(f"{name}: {looked[name][1]:.1%} of the letters are right")
assert looked["with attention"][1] > 0.95 and looked["without"][1] < 0.2

# %%
# Without, a step sees its own letter alone, and guesses one in eight. With it, look where it
# looks: the weights p of one sequence are a matrix, a row for each step that asks. Nobody told it
# about the other diagonal.

model = looked["with attention"][0]
_, cache = model.forward(x_test[:1].astype(np.int32))
(at,) = (i for i, s in enumerate(model.graph.steps) if s.path == "attention")
p = cache.layers[at].inner.attention.p[0, 0]
letters = ["abcdefgh"[i] for i in x_test[0]]
plt.figure(figsize=(3.8, 3.4), layout="constrained")
plt.imshow(p, cmap="Blues", vmin=0, vmax=1)
plt.xticks(range(T), letters)
plt.yticks(range(T), letters[::-1])
plt.xlabel("letters that are read")
plt.ylabel("letters to be written")
plt.colorbar(label="weight")
assert (p.argmax(axis=1) == np.arange(T)[::-1]).mean() >= 0.9

# %%
# A model that writes must not look ahead
# ---------------------------------------
#
# **Predict:** a language model says at each step what the next letter is. It is trained on all
# steps at once. What does it learn if step t may look at step t + 1? Which entries of p must be 0?
#
# .. raw:: html
#
#     <details><summary>Answer</summary>
#
# It would learn to copy step t + 1, which is the answer, and would be worth nothing when it writes,
# for then there is no step t + 1. So all entries above the diagonal are 0: their scores are set to
# minus infinity before the softmax (``causal=True``). Each row still sums to 1, so the first step
# takes all from itself.
#
# .. raw:: html
#
#     </details>

q, k, v = rng.standard_normal((3, 4, 8))
p = attention_forward(q, k, v, causal=True)[1].p
print(p.round(2))
assert np.all(p[np.triu_indices(4, 1)] == 0) and np.allclose(p.sum(axis=1), 1) and p[0, 0] == 1

# %%
# A tiny Transformer
# ------------------
#
# A block is: x + attention(norm(x)), then x + dense(dense(norm(x))). Both add to what was there, so
# the gradient has a straight way through all blocks; the norm (tutorial 11) keeps the numbers in
# range. Blocks are stacked, an embedding stands before them and a softmax behind: that is all.
# Positions are said by turning queries and keys by angles that grow with the place (rotary), so
# that a score depends on how far apart two steps are.
#
# Here are two blocks of 96 features with four heads each, on the plays of Shakespeare.

from minienc.data.text import read_shakespeare, split_text
from minienc.language import TransformerLanguageModel

text, held_out = split_text(read_shakespeare())
writer = TransformerLanguageModel(
    n_layers=2,
    num_heads=4,
    embedding=96,
    context=64,
    batch_size=16,
    epochs=8,
    steps_per_epoch=100,
    random_state=0,
)
writer.fit(text, validation_data=held_out[:20_000])
curve = np.array(writer.history_["val_loss"]) / np.log(2)
print(f"{curve[-1]:.2f} bits a character\n")
print(writer.generate("ROMEO:\n", 300, temperature=0.7, random_state=0))
assert curve[-1] < 2.86  # what counting triples of letters comes to, in tutorial 18

# %%
# It has passed the models that count pairs and triples of letters (3.60 and 2.86 bits, tutorial
# 18), but not the GRU of tutorial 18, which has read four times as many letters. What Transformers
# are better at is being made larger: all steps of a text are computed at once, so that many
# processors have something to do.
#
# Where does it look? The four heads of the first block, for the beginning of a speech. A row is who
# asks, and dark are the letters it takes most of.

line = "ROMEO:\nWhat light is here"
ids = writer.tokenizer_.encode(line.ljust(64))[None]
_, cache = writer.model_.forward(ids)
kinds = [type(s.layer).__name__ for s in writer.model_.graph.steps]
maps = cache.layers[kinds.index("MultiHeadAttention")].inner.attention.p[0]
n = len(line)
shown = [{"\n": "\\n", " ": "_"}.get(c, c) for c in line]
figure, axes = plt.subplots(2, 2, figsize=(7, 7.2), layout="constrained")
for h, ax in enumerate(axes.ravel()):
    ax.imshow(maps[h, :n, :n], cmap="Blues", vmin=0)
    ax.set_xticks(range(n), shown, fontsize=7)
    ax.set_yticks(range(n), shown, fontsize=7)
    ax.set_title(f"head {h + 1}")
assert np.all(np.triu(maps[0], 1) == 0)

# %%
# How far back does each head look? The mean weight by distance, of steps that have 32 letters or
# more before them. Most of it goes to the last few letters, which say how a word goes on; a little
# goes to all others. (Had each letter the same weight, the last four would have a tenth of it.)

distance = np.arange(64)[:, None] - np.arange(64)
ids = writer.tokenizer_.encode(held_out[: 50 * 64]).reshape(50, 64)
_, cache = writer.model_.forward(ids)
plt.figure(figsize=(5, 3), layout="constrained")
recent = {}
for block, at in enumerate((i for i, kind in enumerate(kinds) if kind == "MultiHeadAttention"), 1):
    mean = cache.layers[at].inner.attention.p.mean(axis=0)  # heads, who asks, who answers
    for h in range(4):
        by_distance = [np.diagonal(mean[h], -d)[32 - d :].mean() for d in range(32)]
        recent[block, h + 1] = sum(by_distance[:4])
        label = f"block {block}" if h == 0 else None
        plt.plot(by_distance, color=("#0072B2", "#D55E00")[block - 1], label=label)
plt.legend()
plt.xlabel("letters back")
plt.ylabel("mean weight")
for (block, h), share in recent.items():
    print(f"block {block}, head {h}: {share:.0%} to the last four letters")
assert np.mean(list(recent.values())) > 0.4

# %%
# A warning about such maps: they say where numbers were taken from, not why. A head may look at a
# letter whose value vector is nearly 0.
#
# Exercises
# ---------
#
# **Exercise 19.1.** Leave out ``PositionEmbedding`` in the task of writing backwards. How many
# letters are right now, and why more than one in eight? (A sequence may have more of one letter
# than of another.)
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# 31 % are right, where a guess has 12.5 %.
#
# .. raw:: html
#
#     </details>
#
# **Exercise 19.2.** Make the task "sort the letters". What does the map look like? Then "write the
# letter that follows the first b": one head is not enough for that. Why? Try two attentions, one
# behind the other, each with what it was given added (``Add``).
#
# .. raw:: html
#
#     <details><summary>To check</summary>
#
# Sorting by one attention, with everything else as on this page: 98 % of the letters are right.
#
# .. raw:: html
#
#     </details>
#
# Where this is in the source
# ---------------------------
#
# - :func:`minienc.functions.attention_forward` and :func:`minienc.functions.attention_backward`;
#   with heads, :func:`minienc.functions.multi_head_attention_forward`.
# - :func:`minienc.functions.rotary_forward`, the angles.
# - The layers :class:`minienc.layers.MultiHeadAttention` and
#   :class:`minienc.layers.TransformerBlock`; the model
#   :class:`minienc.language.TransformerLanguageModel`.
