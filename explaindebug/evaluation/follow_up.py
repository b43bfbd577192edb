"""Three questions about a spurious signal, of which the first paper asked one.

- **Known signal (K-SSD).** Who knows the signal, would he see it? The map of a picture with the
  signal against the signal's mask; under a good network as control.
- **Unknown signal (CCM).** Who doesn't and looks at ordinary pictures, would he wonder? The map of
  a picture without the signal against a good network's map of it; a second good network as control.
  Where the bad network's maps are as like as the second good one's, there is no cause for concern
  to be seen.
- **False alarm (FAM).** Who sees a good network's map of a picture with the signal, would he take
  it for a bad one's? The two maps against each other; two good networks' as control. Where they are
  as like as those are, he would.

Each is answered as the main question is (see `verdicts`), p adjusted over all of them.

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
    """The three, by one similarity."""
    return (
        Headline("gt1", similarity, "up", "K-SSD: is a signal that is known seen in the map?"),
        Headline(
            "ccm",
            similarity,
            "down",
            "CCM: does the map of an ordinary picture give cause for concern?",
        ),
        Headline(
            "fam",
            similarity,
            "down",
            "FAM: is its map of the signal told from a good network's? If not, that one raises a "
            "false alarm.",
        ),
    )


def answers(test: TestResult, *, margin: float, level: float, seed: int = 0) -> list[Verdict]:
    """Verdicts on the test's further questions, question by question and method by method."""
    return repeated_answers([test], margin=margin, level=level, seed=seed)


def repeated_answers(
    tests: Sequence[TestResult], *, margin: float, level: float, seed: int = 0
) -> list[Verdict]:
    """The same of one test that was run with networks of several seeds."""
    asked = [[replace(test, headline=q) for test in tests] for q in tests[0].questions]
    found = repeated_verdicts(asked, margin=margin, level=level, seed=seed)
    return [verdict for group in found for verdict in group]
