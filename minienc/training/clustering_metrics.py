"""How well do clusters that were found without labels agree with the labels?

Clusters have no names: cluster 3 may be the sevens. The accuracy names each by the class that makes
most samples right, no class twice; mutual information and the Rand index need no names at all.
"""

from __future__ import annotations

import numpy as np

from minienc.data.plain import DataLike, plain_array


def contingency(y: DataLike, clusters: DataLike) -> np.ndarray:
    """(classes, clusters): how many samples of each class each cluster holds."""
    y, clusters = plain_array(y, "y"), plain_array(clusters, "clusters")
    for name, a in (("y", y), ("clusters", clusters)):
        if a.ndim != 1:
            raise ValueError(f"{name} is {a.shape}, expected (N,): a label for each sample")
    y, clusters = (np.unique(a, return_inverse=True)[1] for a in (y, clusters))
    if len(y) != len(clusters) or not len(y):
        raise ValueError(f"{len(y)} labels of {len(clusters)} samples, expected one for each")
    table = np.zeros((y.max() + 1, clusters.max() + 1), int)
    np.add.at(table, (y, clusters), 1)
    return table


def clustering_accuracy(y: np.ndarray, clusters: np.ndarray) -> float:
    """The part of samples that is right when clusters are named as well as they can be.

    max over one-to-one maps m of 1/N sum_i [y_i = m(c_i)]; with more clusters than classes, or
    fewer, some stay without a name.

    Source: Xie, Girshick and Farhadi 2016, eq. 10.
    """
    table = contingency(y, clusters)
    classes, named = assign(-table)
    return float(table[classes, named].sum() / table.sum())


def normalized_mutual_information(y: np.ndarray, clusters: np.ndarray) -> float:
    """I(y; c) / mean of H(y) and H(c): 1 where each tells the other, 0 where neither does.

    Source: Strehl and Ghosh 2002, "Cluster ensembles" (there divided by the geometric mean; here,
    as in scikit-learn, by the arithmetic).
    """
    p = contingency(y, clusters) / len(y)
    rows, columns = p.sum(axis=1), p.sum(axis=0)
    entropies = [-(m * np.log(m)).sum() for m in (rows, columns)]
    both = p > 0
    information = (p[both] * np.log(p[both] / np.outer(rows, columns)[both])).sum()
    mean = sum(entropies) / 2
    return 1.0 if mean == 0 else float(max(0.0, information / mean))


def adjusted_rand_index(y: np.ndarray, clusters: np.ndarray) -> float:
    """The part of pairs on which both agree, less what chance would give: 1 the same, 0 by chance.

    Source: Hubert and Arabie 1985, "Comparing partitions", eq. 5.
    """

    def pairs(n: np.ndarray) -> float:
        return float((n * (n - 1) / 2).sum())

    table = contingency(y, clusters)
    together = pairs(table)
    of_y, of_clusters = pairs(table.sum(axis=1)), pairs(table.sum(axis=0))
    by_chance = of_y * of_clusters / max(pairs(np.array([len(y)])), 1)
    most = (of_y + of_clusters) / 2
    return 1.0 if most == by_chance else (together - by_chance) / (most - by_chance)


def purity(y: np.ndarray, clusters: np.ndarray) -> float:
    """The part of samples that is of its cluster's most frequent class, where names may repeat.

    What the accuracy cannot say of more clusters than classes. It only grows with their number, to
    1 for a cluster of each sample's own.

    Source: Manning, Raghavan and Schuetze 2008, "Introduction to information retrieval", 16.3.
    """
    table = contingency(y, clusters)
    return float(table.max(axis=0).sum() / table.sum())


def clustering_measures(y: np.ndarray, clusters: np.ndarray) -> dict[str, float]:
    """All of them, by name."""
    return {
        "clustering accuracy (one cluster a class)": clustering_accuracy(y, clusters),
        "purity (one class a cluster)": purity(y, clusters),
        "normalised mutual information": normalized_mutual_information(y, clusters),
        "adjusted Rand index": adjusted_rand_index(y, clusters),
    }


def assign(cost: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns, each once, whose costs have the smallest sum: (row indices, columns).

    The Hungarian method by shortest paths, O(n^3): row after row is given a column; where the best
    one is taken, whoever holds it moves on, along the path that costs least. u and v are prices of
    rows and columns, which keep every cost_ij - u_i - v_j at 0 or above, and at 0 where i has j.

    Source: Jonker and Volgenant 1987, "A shortest augmenting path algorithm for dense and sparse
    linear assignment problems"; the prices are Kuhn's (1955).
    """
    if cost.shape[0] > cost.shape[1]:
        columns, rows = assign(cost.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    n, m = cost.shape
    u, v = np.zeros(n), np.zeros(m)
    owner = np.full(m, -1)  # the row that holds each column
    for row in range(n):
        distance, before = np.full(m, np.inf), np.full(m, -1)  # of the shortest paths from ``row``
        visited = np.zeros(m, bool)
        i, column = row, -1
        while True:
            reach = 0.0 if column < 0 else distance[column]
            through = reach + cost[i] - u[i] - v
            closer = ~visited & (through < distance)
            distance[closer], before[closer] = through[closer], column
            column = int(np.where(visited, np.inf, distance).argmin())
            if owner[column] < 0:
                break
            visited[column] = True
            i = owner[column]
        shortest = distance[column]
        for j in np.flatnonzero(visited):
            u[owner[j]] += shortest - distance[j]
            v[j] -= shortest - distance[j]
        u[row] += shortest
        while column >= 0:  # each column on the path goes to the row before it
            owner[column] = row if before[column] < 0 else owner[before[column]]
            column = before[column]
    columns = np.flatnonzero(owner >= 0)
    order = np.argsort(owner[columns])
    return owner[columns][order], columns[order]
