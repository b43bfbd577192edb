"""The page of results: the paper's claims and tables, and what runs make of them."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from explaindebug.report.markdown import code, grid, lines
from explaindebug.studies.adebayo2020.claims import CLAIMS, Finding, findings
from explaindebug.studies.adebayo2020.entry import Entry, parts
from explaindebug.studies.adebayo2020.judging import FAILS, UNKNOWN, Answer
from explaindebug.studies.adebayo2020.provenance import differs, facts, titled
from explaindebug.studies.adebayo2020.published import ACCURACIES

Drawn = Mapping[str, str]  # pictures' paths, as seen from the page, and their captions

READING = """\
This page is written by a command, from the files of the runs that it names: {command}. Each
number of ours is a mean over inputs ± its standard error, as the paper's are; behind *control* is
the same without the bug, behind *null* what maps reach that know nothing of the network, after
the same post-processing (noise, and the method's own pixels in random order). A number is worth
what it is above these. *Shows the bug?* is the verdict of the run (see docs/statistics.md): bug
against control, input by input, over the whole table.
"""
CLAIMED = """\
Each claim is judged twice. *As measured*: do our numbers say what the paper's say? *Against
control and null*: do they mean it? By 95 % intervals over inputs, not by means: a number counts
as high, low or about zero where its whole interval is; across the line, and where something was
not measured, it is *can't tell here*. The thresholds are such that the paper's own numbers bear
its claims out.
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
    """The checklist, and behind it the evidence claim by claim."""
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
    """The answer of the runs that can tell, or how many of them gave each."""
    counts = Counter(answer for answer in answers if answer != UNKNOWN)
    if len(counts) < 2:
        return f"**{next(iter(counts), UNKNOWN)}**"
    return "; ".join(f"**{answer}** in {n} of {counts.total()}" for answer, n in counts.items())


def evidence(found: Sequence[Finding]) -> Iterator[str]:
    """What a claim means here, what each run says of it, and of a failure what could explain it."""
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
        yield from (f"*What could explain it, and what would tell.* {claim.why}", "")


def section(entry: Entry, pictures: Drawn) -> Iterator[str]:
    """One table or figure of the paper beside a run."""
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
