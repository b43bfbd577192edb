"""Regions that rank high in the maps of many inputs.

The mean over inputs of the maps' ranks, of a class against all others, and of all inputs. Source:
Achara et al. 2025, OSCAR (rank profiles of regions over a data set, compared between networks).
"""

import numpy as np

from explaindebug.audit.candidates.base import SOURCES, Candidate, Evidence, top


@SOURCES.register("ranks")
def ranks(evidence: Evidence) -> list[Candidate]:
    """A region for each predicted class, and one for all inputs together."""
    made = []
    everything = top(evidence.ranks[evidence.found].mean(0), evidence.pixels)
    if everything is not None:
        made.append(
            Candidate(
                "ranks",
                "High in all maps",
                evidence.held,
                evidence.same(everything, evidence.held),
            )
        )
    for one, found, held in evidence.classes():
        others = np.setdiff1d(evidence.found, found)
        if not len(others):
            continue
        contrast = evidence.ranks[found].mean(0) - evidence.ranks[others].mean(0)
        region = top(contrast, evidence.pixels)
        if region is not None:
            title = f"Higher in maps of {evidence.names[one]} than of others"
            made.append(Candidate(f"ranks-{one}", title, held, evidence.same(region, held)))
    return made
