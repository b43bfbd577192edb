"""Groups of inputs of a class whose maps look alike: a shortcut of some of them is one.

Source: Lapuschkin et al. 2019, SpRAy (spectral clusters of maps that were made smaller).
"""

import warnings

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from scipy.linalg import eigh
from scipy.sparse.csgraph import laplacian
from scipy.spatial.distance import cdist

from explaindebug.audit.candidates.base import SOURCES, Candidate, Evidence, Floats, Ints, top

SIDE = 8  # of the maps that are compared
NEIGHBOURS = 5
MOST = 4  # clusters of a class
CONNECTED = 0.05  # eigenvalues below this are as good as zero, of groups hardly connected


@SOURCES.register("clusters")
def clusters(evidence: Evidence) -> list[Candidate]:
    """Where the maps of a cluster are higher than those of the class's other inputs.

    The cluster of a held-out input is that of the nearest mean.
    """
    small = torch.nn.functional.adaptive_avg_pool2d(torch.from_numpy(evidence.ranks), SIDE)
    points = small.flatten(1).numpy()
    made = []
    for one, found, held in evidence.classes():
        labels = spectral(points[found], evidence.seed)
        groups = np.unique(labels)
        if len(groups) < 2:
            continue
        means = np.stack([points[found[labels == g]].mean(0) for g in groups])
        nearest = cdist(points[held], means).argmin(1)
        for k, group in enumerate(groups):
            inside, rows = labels == group, held[nearest == k]
            if len(rows) < evidence.least:
                continue
            ranks = evidence.ranks[found]
            region = top(ranks[inside].mean(0) - ranks[~inside].mean(0), evidence.pixels)
            if region is not None:
                title = f"High in cluster {k + 1} of the maps of {evidence.names[one]}"
                name = f"clusters-{one}-{k + 1}"
                made.append(Candidate(name, title, rows, evidence.same(region, rows)))
    return made


def spectral(points: Floats, seed: int = 0) -> Ints:
    """The cluster (n,) of each point (n, d): k-means of the leading eigenvectors of the graph of
    nearest neighbours, normalised; as many clusters as the largest step of its eigenvalues says.

    Source: Ng, Jordan and Weiss 2002; von Luxburg 2007 (the step).
    """
    n = len(points)
    if n < 2 * NEIGHBOURS:
        return np.zeros(n, np.int64)
    distances = cdist(points, points)
    np.fill_diagonal(distances, np.inf)
    graph = np.zeros((n, n))
    near = np.argsort(distances, axis=1, kind="stable")[:, :NEIGHBOURS]
    graph[np.arange(n)[:, None], near] = 1
    together = np.maximum(graph, graph.T)
    values, vectors = eigh(laplacian(together, normed=True))  # type: ignore[no-untyped-call]
    heights = values[: MOST + 1] + CONNECTED
    count = 1 + int(np.argmax(heights[1:] / heights[:-1]))
    if count == 1:
        return np.zeros(n, np.int64)
    chosen = vectors[:, :count]
    lengths = np.linalg.norm(chosen, axis=1, keepdims=True)
    chosen = chosen / np.where(lengths > 0, lengths, 1)
    rng = np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a cluster that stays empty is one less
        return np.asarray(kmeans2(chosen, count, minit="++", seed=rng)[1], np.int64)
