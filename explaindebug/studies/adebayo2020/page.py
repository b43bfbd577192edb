"""The page of results: the paper's claims and tables, compared with runs."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from explaindebug.report.markdown import code, grid, lines
from explaindebug.studies.adebayo2020.claims import CLAIMS, Finding, findings
from explaindebug.studies.adebayo2020.entry import Entry, parts
from explaindebug.studies.adebayo2020.judging import FAILS, UNKNOWN, Answer
from explaindebug.studies.adebayo2020.provenance import differs, facts, titled
from explaindebug.studies.adebayo2020.published import ACCURACIES

Drawn = Mapping[str, str]  # paths of pictures, relative to the page, and their captions

READING = """\
This page is generated from the files of runs: {command}. Our numbers are means over inputs ±
their standard errors, like the paper's. *Control* is the same without the bug; *null* is what maps
unrelated to the network reach after the same post-processing (noise, and the method's own pixels
in random order). Only the difference from these is meaningful. *Shows the bug?* is the verdict of
the run (see docs/statistics.md): bug against control, paired by input, adjusted over the whole
table.
"""
CLAIMED = """\
Each claim is judged twice. *As measured*: do our numbers agree with the claim, as the paper's do?
*Against control and null*: does the claim still hold in comparison with these? Judgements are based
on 95 % intervals over inputs, not on means: a number counts as high, low or about zero if its whole
interval is. If the interval crosses the threshold, or something was not measured, the answer is
*can't tell here*. The thresholds are chosen such that the paper's own numbers support its claims.
"""


def page(
    entries: Sequence[Entry], pictures: Mapping[Entry, Drawn], *, command: str, title: str
) -> str:
    """The page as Markdown."""
    lines = [f"# {title}", "", READING.format(command=code(command))]
    lines += claims(findings(CLAIMS, entries))
    lines += [line for entry in entries for line in section(entry, pictures.get(entry, {}))]
    return "\n".join(lines).rstrip() + "\n"


def claims(found: Sequence[Finding]) -> Iterator[str]:
    """The checklist, followed by the evidence for each claim."""
    yield from ("## The paper's claims", "", CLAIMED)
    grouped = [list(group) for _, group in groupby(found, key=lambda f: f.claim.number)]
    yield from grid(
        ["", "claim", "as measured", "against control and null"],
        [
            [
                f"[{own[0].claim.number}](#claim-{own[0].claim.number})",
                own[0].claim.statement,
                joint([f.measured.answer for f in own]),
                joint([f.beyond.answer for f in own]),
            ]
            for own in grouped
        ],
    )
    for own in grouped:
        yield from evidence(own)


def joint(answers: Sequence[Answer]) -> str:
    """The answer of the runs that can tell, with counts if they disagree."""
    counts = Counter(answer for answer in answers if answer != UNKNOWN)
    if len(counts) < 2:
        return f"**{next(iter(counts), UNKNOWN)}**"
    return "; ".join(f"**{answer}** in {n} of {counts.total()}" for answer, n in counts.items())


def evidence(found: Sequence[Finding]) -> Iterator[str]:
    """What a claim means here, how each run judges it, and what could explain a failure."""
    claim = found[0].claim
    yield from (f"### Claim {claim.number}", "", f"> {claim.statement}", "")
    yield from (f"*As measured.* {claim.means}", "", f"*Against control and null.* {claim.against}")
    yield ""
    for one in found:
        where = f"{one.entry.label}, {titled(one.entry)}" if one.entry else "–"
        yield f"* {where}"
        yield f"  * as measured: **{one.measured.answer}**. {one.measured.evidence}"
        yield f"  * against control and null: **{one.beyond.answer}**. {one.beyond.evidence}"
    yield ""
    if any(FAILS in (one.measured.answer, one.beyond.answer) for one in found):
        yield from (f"*Possible explanations, and how to check them.* {claim.why}", "")


def section(entry: Entry, pictures: Drawn) -> Iterator[str]:
    """One table or figure of the paper, compared with a run."""
    yield from (f"## {titled(entry)} (`{entry.label}`)", "", f"*{entry.experiment.question}*", "")
    if entry.table is None:
        yield from ("Nothing of it was measured.", "")
    else:
        yield from (f"{entry.table.caption}.", "")
        for part in parts(entry):
            yield from lines(part)
    if entry.test.name == "labels":
        printed = ", ".join(f"{name} {x}" for name, x in ACCURACIES.items())
        yield from (f"The paper's accuracies of the network with wrong labels: {printed}.", "")
    for path, caption in pictures.items():
        yield from (f"![{entry.experiment.title}: {caption}]({path})", "")
    yield from ("**What differs from the paper**", "", *(f"* {d}" for d in differs(entry)), "")
    yield from ("**The run**", "", *grid(["", ""], facts(entry)))
