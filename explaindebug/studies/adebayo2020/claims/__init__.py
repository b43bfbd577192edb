"""The paper's six claims, each judged from runs: holds, does not, can't tell here."""

from explaindebug.studies.adebayo2020.claims import background, foreign, labels, layers
from explaindebug.studies.adebayo2020.claims.claim import Claim, Finding, Said, finding, findings

__all__ = ["CLAIMS", "Claim", "Finding", "Said", "finding", "findings"]

CLAIMS = tuple(
    sorted((*background.ALL, *labels.ALL, *layers.ALL, *foreign.ALL), key=lambda c: c.number)
)
