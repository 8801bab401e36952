"""Attention, embeddings, and what picks rows."""

from __future__ import annotations

import numpy as np

from benchmarks.gradcheck_cases.form import numbers, pair, wrong


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def attention_forward(Q, K, V):
    d = Q.shape[-1]
    A = softmax(Q @ K.T / np.sqrt(d))
    return A @ V, (Q, K, V, A)


def attention_backward(dO, cache):
    Q, K, V, A = cache
    dV = A.T @ dO
    dA = dO @ V.T
    dS = A * (dA - np.sum(dA * A, axis=-1, keepdims=True))
    dS = dS / np.sqrt(Q.shape[-1])
    return dS @ K, dS.T @ Q, dV


def self_attention_forward(x, Wq, Wk, Wv):
    q, k, v = x @ Wq, x @ Wk, x @ Wv
    s = q @ k.transpose(0, 2, 1) / np.sqrt(Wq.shape[1])
    mask = np.triu(np.full(s.shape[1:], -1e9), 1)
    a = softmax(s + mask)
    return a @ v, (x, Wq, Wk, Wv, q, k, v, a)


def self_attention_backward(dy, cache):
    x, Wq, Wk, Wv, q, k, v, a = cache
    dv = a.transpose(0, 2, 1) @ dy
    da = dy @ v.transpose(0, 2, 1)
    ds = a * (da - (da * a).sum(-1, keepdims=True)) / np.sqrt(Wq.shape[1])
    dq, dk = ds @ k, ds.transpose(0, 2, 1) @ q
    dx = dq @ Wq.T + dk @ Wk.T + dv @ Wv.T
    dWq = np.einsum("btd,bth->dh", x, dq)
    dWk = np.einsum("btd,bth->dh", x, dk)
    dWv = np.einsum("btd,bth->dh", x, dv)
    return dx, dWq, dWk, dWv


def additive_attention_forward(H, W, v):
    u = np.tanh(H @ W)
    s = u @ v
    a = softmax(s)
    return np.einsum("nt,ntd->nd", a, H), (H, W, v, u, a)


def additive_attention_backward(dc, cache):
    H, W, v, u, a = cache
    da = np.einsum("nd,ntd->nt", dc, H)
    ds = a * (da - (da * a).sum(axis=1, keepdims=True))
    dv = np.einsum("nt,ntk->k", ds, u)
    du = ds[:, :, None] * v
    dz = du * (1 - u**2)
    dW = np.einsum("ntd,ntk->dk", H, dz)
    dH = a[:, :, None] * dc[:, None, :] + dz @ W.T
    return dH, dW, dv


IDS = np.array([[1, 3, 3], [0, 3, 2]])


def embedding_forward(W, ids):
    return W[ids], (W.shape, ids)


def embedding_backward(dout, cache):
    shape, ids = cache
    dW = np.zeros(shape)
    np.add.at(dW, ids, dout)
    return dW, None


def bag_of_words_forward(E, U, ids):
    h = E[ids].mean(axis=1)
    return h @ U, (E, U, ids, h)


def bag_of_words_backward(dy, cache):
    E, U, ids, h = cache
    dU = h.T @ dy
    dh = dy @ U.T / ids.shape[1]
    dE = np.zeros_like(E)
    for n in range(len(ids)):
        for i in ids[n]:
            dE[i] += dh[n]
    return dE, dU, None


def negative_sampling_forward(center, context, noise):
    """log sigmoid of a score, and of minus the scores of noise."""
    s = (center * context).sum(axis=1)
    r = np.einsum("nd,nkd->nk", center, noise)
    p, q = 1 / (1 + np.exp(-s)), 1 / (1 + np.exp(r))
    return -np.log(p).sum() - np.log(q).sum(), (center, context, noise, p, q)


def negative_sampling_backward(dl, cache):
    center, context, noise, p, q = cache
    gp = (p - 1)[:, None]
    gq = 1 - q
    dcenter = gp * context + np.einsum("nk,nkd->nd", gq, noise)
    dcontext = gp * center
    dnoise = gq[:, :, None] * center[:, None, :]
    return dl * dcenter, dl * dcontext, dl * dnoise


def pairwise_distance_forward(a, b):
    diff = a[:, None, :] - b[None, :, :]
    return (diff**2).sum(axis=2), diff


def pairwise_distance_backward(dd, diff):
    g = 2 * dd[:, :, None] * diff
    return g.sum(axis=1), -g.sum(axis=0)


def concat_forward(a, b):
    return np.concatenate([a, b], axis=1), a.shape[1]


def concat_backward(dy, n):
    return dy[:, :n], dy[:, n:]


CASES = [
    *pair(
        attention_forward,
        attention_backward,
        numbers(4, 3),
        numbers(4, 3, seed=1),
        numbers(4, 3, seed=2),
        mistakes=[
            wrong("factor", "    dS = dS / np.sqrt(Q.shape[-1])\n", ""),
            wrong("term", "A * (dA - np.sum(dA * A, axis=-1, keepdims=True))", "A * dA"),
            wrong("transpose", "dS.T @ Q", "dS @ Q"),
            wrong("transpose", "A.T @ dO", "A @ dO"),
            wrong("other factor", "return dS @ K", "return dS @ Q"),
            wrong("factor", "dS / np.sqrt(Q.shape[-1])", "dS / Q.shape[-1]"),
            wrong("term", "A * (dA - np.sum(dA * A, axis=-1, keepdims=True))", "dA * A * (1 - A)"),
        ],
    ),
    *pair(
        self_attention_forward,
        self_attention_backward,
        numbers(2, 3, 4),
        numbers(4, 4, seed=1),
        numbers(4, 4, seed=2),
        numbers(4, 4, seed=3),
        mistakes=[
            wrong("term", " + dv @ Wv.T", ""),
            wrong("term", "dq @ Wq.T + ", ""),
            wrong("factor", " / np.sqrt(Wq.shape[1])", ""),
            wrong("transpose", "ds.transpose(0, 2, 1) @ q", "ds @ q"),
            wrong("transpose", "dk @ Wk.T", "dk @ Wk"),
            wrong("transpose", "a.transpose(0, 2, 1) @ dy", "a @ dy"),
            wrong("term", " - (da * a).sum(-1, keepdims=True)", ""),
            wrong("other factor", '"btd,bth->dh", x, dk', '"btd,bth->dh", x, dq'),
        ],
    ),
    *pair(
        additive_attention_forward,
        additive_attention_backward,
        numbers(2, 3, 2),
        numbers(2, 4),
        numbers(4),
        mistakes=[
            wrong("term", "a[:, :, None] * dc[:, None, :] + ", ""),
            wrong("term", " + dz @ W.T", ""),
            wrong("slope", "du * (1 - u**2)", "du"),
            wrong("term", "(da - (da * a).sum(axis=1, keepdims=True))", "da"),
            wrong("sign", "+ dz @ W.T", "- dz @ W.T"),
        ],
    ),
    *pair(
        embedding_forward,
        embedding_backward,
        numbers(5, 2),
        IDS,
        mistakes=[
            wrong("repeated|overwritten", "np.add.at(dW, ids, dout)", "dW[ids] += dout"),
            wrong("repeated|overwritten", "np.add.at(dW, ids, dout)", "dW[ids] = dout"),
            wrong("sign", "np.add.at(dW, ids, dout)", "np.subtract.at(dW, ids, dout)"),
        ],
    ),
    *pair(
        bag_of_words_forward,
        bag_of_words_backward,
        numbers(5, 3),
        numbers(3, 2),
        IDS,
        mistakes=[
            wrong("factor", " / ids.shape[1]", ""),
            wrong("repeated|overwritten", "dE[i] += dh[n]", "dE[i] = dh[n]"),
            wrong("factor", "h.T @ dy", "h.T @ dy / len(dy)"),
        ],
    ),
    *pair(
        negative_sampling_forward,
        negative_sampling_backward,
        numbers(3, 2),
        numbers(3, 2, seed=1),
        numbers(3, 4, 2),
        mistakes=[
            wrong("term", ' + np.einsum("nk,nkd->nd", gq, noise)', ""),
            wrong("sign", "gq = 1 - q", "gq = q - 1"),
            wrong("slope", "(p - 1)[:, None]", "p[:, None]"),
            wrong("term", "gp * context + np", "np"),
        ],
    ),
    *pair(
        pairwise_distance_forward,
        pairwise_distance_backward,
        numbers(3, 2),
        numbers(4, 2),
        mistakes=[
            wrong("factor|slope", "2 * dd", "dd"),
            wrong("sign", "-g.sum(axis=0)", "g.sum(axis=0)"),
            wrong("factor", "g.sum(axis=1)", "g.mean(axis=1)"),
        ],
    ),
    *pair(
        concat_forward,
        concat_backward,
        numbers(3, 2),
        numbers(3, 2, seed=1),
        mistakes=[
            wrong("order", "dy[:, :n], dy[:, n:]", "dy[:, n:], dy[:, :n]"),
            wrong("factor", "dy[:, :n], dy[:, n:]", "dy[:, :n] / len(dy), dy[:, n:]"),
        ],
    ),
]
