"""Three questions about a spurious signal, of which the 2020 paper asked the first.

- **Known signal (K-SSD).** Would somebody who knows the signal see it in the map? Compares the map
  of a picture with the signal and the signal's mask; control: a clean network.
- **Unknown signal (CCM).** Would the maps of ordinary pictures raise concern? Compares the map of a
  picture without the signal and a clean network's map of it; control: a second clean network. If
  the buggy network's maps are as similar as the second clean one's, nothing raises concern.
- **False alarm (FAM).** Would a clean network's map of a picture with the signal be taken for a
  buggy one's? Compares the two networks' maps; control: two clean networks. If they are as similar
  as those, it would.

Each is answered as the main question is (see `verdicts`), with p adjusted over all of them.

Source: Adebayo, Muelly, Abelson, Kim: Post hoc explanations may be ineffective for detecting
unknown spurious correlation, ICLR 2022, section 3, where the three are similarities without
controls.
"""

from collections.abc import Sequence
from dataclasses import replace

from explaindebug.evaluation.results import Headline, TestResult, Verdict
from explaindebug.evaluation.verdicts import repeated_verdicts

SHORT = {"gt1": "K-SSD", "ccm": "CCM", "fam": "FAM"}  # condition -> the paper's name


def questions(similarity: str) -> tuple[Headline, ...]:
    """The three questions, measured by one similarity."""
    return (
        Headline("gt1", similarity, "up", "K-SSD: is a known signal seen in the map?"),
        Headline(
            "ccm",
            similarity,
            "down",
            "CCM: does the map of an ordinary picture raise concern?",
        ),
        Headline(
            "fam",
            similarity,
            "down",
            "FAM: can its map of the signal be distinguished from a clean network's? If not, the "
            "clean network's map is a false alarm.",
        ),
    )


def answers(test: TestResult, *, margin: float, level: float, seed: int = 0) -> list[Verdict]:
    """Verdicts on the test's further questions, by question, then by method."""
    return repeated_answers([test], margin=margin, level=level, seed=seed)


def repeated_answers(
    tests: Sequence[TestResult], *, margin: float, level: float, seed: int = 0
) -> list[Verdict]:
    """The same for one test that was repeated with networks of other seeds."""
    asked = [[replace(test, headline=q) for test in tests] for q in tests[0].questions]
    found = repeated_verdicts(asked, margin=margin, level=level, seed=seed)
    return [verdict for group in found for verdict in group]
