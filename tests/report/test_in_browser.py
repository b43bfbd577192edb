import pytest
from browser import CHROMIUM, Browser, chromium
from fake_run import METHODS, fake_run, fake_verdicts

from explaindebug.report import write_report

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="no Chromium on the PATH")


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    run = fake_run(inputs=8, size=24)
    path = write_report(run, fake_verdicts(run), tmp_path_factory.mktemp("run"))
    with chromium() as browser:
        browser.open(path)
        yield browser
        assert browser.complaints() == []  # nor has any of the tests caused one
        assert browser.requests() == [path.as_uri()]


def column(page: Browser, k: int) -> list[str]:
    rows = "[...document.querySelectorAll('#answer tbody tr')]"
    return page.run(f"{rows}.map(row => row.cells[{k}].textContent.trim().split('\\n')[0])")


def test_it_loads_in_silence_and_asks_for_nothing(page) -> None:
    assert page.complaints() == []
    assert len(page.requests()) == 1
    assert page.run("document.title").startswith("SGradSQ and VGrad show")


def test_every_picture_is_decoded(page) -> None:
    page.run("document.querySelectorAll('details').forEach(d => d.open = true)")
    broken = "[...document.images].filter(i => i.src && !i.naturalWidth).length"
    assert page.run("document.images.length") > 200
    assert (
        page.run(f"Promise.all([...document.images].map(i => i.src && i.decode())) && {broken}")
        == 0
    )


@pytest.mark.parametrize("width", [390, 1200])
def test_nothing_makes_the_page_itself_scroll_sideways(page, width) -> None:
    page(
        "Emulation.setDeviceMetricsOverride",
        width=width,
        height=900,
        deviceScaleFactor=1,
        mobile=False,
    )
    assert page.run("document.documentElement.scrollWidth") <= width
    page("Emulation.clearDeviceMetricsOverride")


def test_columns_sort_by_answer_and_effect_and_back_by_name(page) -> None:
    page.run("document.querySelectorAll('#answer thead th')[1].querySelector('button').click()")
    assert column(page, 0)[:2] == ["SGradSQ", "VGrad"]
    assert column(page, 1) == ["Shows"] * 6 + ["Can't tell"] + ["Doesn't"] * 2
    assert page.run("document.querySelectorAll('#answer [aria-sort=descending]').length") == 1
    page.run("document.querySelectorAll('#answer thead th')[1].querySelector('button').click()")
    assert column(page, 1) == ["Doesn't"] * 2 + ["Can't tell"] + ["Shows"] * 6
    page.run("document.querySelectorAll('#answer thead th')[0].querySelector('button').click()")
    assert column(page, 0) == sorted(METHODS.values())


def test_maps_are_enlarged_and_walked_through_by_keyboard(page) -> None:
    assert (
        page.run(
            "document.querySelectorAll('.maps')[0].querySelectorAll('[tabindex=\"0\"]').length"
        )
        == 1
    )
    page.run("document.querySelector('.maps [tabindex=\"0\"]').focus()")
    page.press("ArrowRight")
    assert page.run("document.activeElement.alt") == "Input-Grad, clean model: bird"
    page.press("Enter")
    shown = (
        "document.querySelector('dialog').open && document.querySelectorAll('dialog img')[1].alt"
    )
    assert page.run(shown) == "Input-Grad, clean model: bird"
    page.press("ArrowDown")
    assert page.run(shown) == "Input-Grad, with the bug: bird"
    assert page.run("document.querySelectorAll('dialog img')[1].naturalWidth") == 24
    page.press("Escape")
    assert page.run(shown) is False
    assert page.run("document.activeElement.alt") == "Input-Grad, with the bug: bird"


def test_colours_follow_the_readers_choice(page) -> None:
    def ink_and_paper(scheme: str) -> tuple[str, str]:
        page(
            "Emulation.setEmulatedMedia",
            features=[{"name": "prefers-color-scheme", "value": scheme}],
        )
        style = "getComputedStyle(document.querySelector('{}')).{}"
        text = page.run(style.format("svg.chart text", "fill"))
        return text, page.run(style.format("body", "backgroundColor"))

    assert ink_and_paper("light")[1] == "rgb(255, 255, 255)"
    light, dark = ink_and_paper("light"), ink_and_paper("dark")
    assert light[0] != dark[0]
    assert light[1] != dark[1]
