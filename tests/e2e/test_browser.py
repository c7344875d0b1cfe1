"""The page in a real browser: it fits, it needs no network, and no one is locked out."""

import json
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from functools import partial
from itertools import combinations
from pathlib import Path

import comparisons
import pytest
import task_makers
import thorough
from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from driver.inputs import download
from driver.report.page import page
from driver.report.plots import layers
from shared.artifacts.store import ROOT
from shared.errors import CrossquantError

CHROMIUM, DRIVER = Path("/usr/bin/chromium"), Path("/usr/bin/chromedriver")
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
AXE = "axe-core@4.14.1"
SCHEMES = ["light", "dark"]
SCREENS = {"phone": (390, 844), "desktop": (1280, 900)}
PAGES = {
    "default": comparisons.comparison,
    "troubled": comparisons.troubled,
    "nothing": comparisons.nothing,
    "hostile": comparisons.hostile,
    "hundred": comparisons.hundred,
    "thorough": thorough.comparison,
    "hundredfold": thorough.hundred,
    **{task: partial(task_makers.compared, task) for task in task_makers.CASES},
}
EXPLAINED = ("thorough", "hundredfold")

Browser = webdriver.Chrome


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    if not (CHROMIUM.exists() and DRIVER.exists()):
        pytest.skip("no Chromium: `apt-get install -y chromium chromium-driver` installs it")
    options = webdriver.ChromeOptions()
    options.binary_location = str(CHROMIUM)
    for flag in (*FLAGS, f"--user-data-dir={tmp_path_factory.mktemp('chromium')}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
    yield driver
    driver.quit()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The address of each page."""
    folder = tmp_path_factory.mktemp("pages")
    addresses = {}
    for name, make in PAGES.items():
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CROSSQUANT_VOLUMES", str(tmp_path_factory.mktemp("volumes")))
            comparison = make()
        path = folder / f"{name}.html"
        page_data = (thorough if name in EXPLAINED else comparisons).make_page_data(comparison)
        path.write_text(page.page_html(comparison, page_data), encoding="utf-8")
        addresses[name] = path.as_uri()
    return addresses


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The source of axe-core, from the registry of npm packages."""
    archive = tmp_path_factory.mktemp("axe") / "axe.tgz"
    try:
        download.download_npm(AXE, archive, lambda *_: None)
    except CrossquantError as error:
        pytest.skip(f"no axe-core: {error}")
    with tarfile.open(archive) as tar:
        file = tar.extractfile("package/axe.min.js")
        assert file is not None
        return file.read().decode()


def look(browser: Browser, address: str, scheme: str = "light", screen: str = "desktop") -> None:
    width, height = SCREENS[screen]
    size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": screen == "phone"}
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    browser.get(address)


def requests(browser: Browser) -> list[str]:
    """Addresses that were asked for since the last call, beyond what the page holds itself."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event["params"]["request"]["url"] for event in events if event["method"] == "Network.requestWillBeSent"]
    return [address for address in sent if not address.startswith("data:")]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_asks_for_nothing_and_logs_nothing(browser: Browser, pages: dict[str, str], name: str):
    browser.get_log("performance")
    browser.get_log("browser")
    look(browser, pages[name])
    assert requests(browser) == [pages[name]]
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("screen", SCREENS)
@pytest.mark.parametrize("name", PAGES)
def test_a_page_never_scrolls_sideways(browser: Browser, pages: dict[str, str], name: str, screen: str):
    look(browser, pages[name], screen=screen)
    browser.execute_script("document.querySelectorAll('details').forEach(found => found.open = true)")
    scrolled, seen = browser.execute_script(
        "const root = document.documentElement; return [root.scrollWidth, root.clientWidth]"
    )
    assert scrolled <= seen
    outside = browser.execute_script(
        "return [...document.querySelectorAll('body *')].filter(found => !found.closest('.scroll, pre, .hidden, .skip')"
        " && found.getBoundingClientRect().right > innerWidth + 1).map(found => found.outerHTML.slice(0, 80))"
    )
    assert outside == []


def test_rows_plots_and_pictures_are_seen(browser: Browser, pages: dict[str, str]):
    look(browser, pages["default"])
    browser.execute_script("document.querySelectorAll('details').forEach(found => found.open = true)")
    rows = browser.find_elements(By.CSS_SELECTOR, "tr[data-variant]")
    assert [row.find_element(By.TAG_NAME, "code").text for row in rows] == [*comparisons.FIGURES, "torch.uint8"]
    for plot in ("accuracy-latency", "accuracy-size", "latency", "calibration"):
        svg = browser.find_element(By.CSS_SELECTOR, f'svg[data-plot="{plot}"]')
        assert svg.size["width"] > 400
        assert svg.size["height"] > 200
        assert len(svg.find_elements(By.CSS_SELECTOR, "g.mark")) == len(comparisons.FIGURES)
    loaded = "return [...document.images].map(image => image.complete && image.naturalWidth > 0)"
    pictures = browser.execute_script(loaded)
    assert len(pictures) == 5 * 24 + 1
    assert all(pictures)


@pytest.mark.parametrize(
    ("name", "plots"),
    [
        ("default", 4),
        ("hundred", 4),
        ("thorough", 4 + 3 + 2),
        ("hundredfold", 4 + 3),
        ("multilabel", 3),
        ("fidelity", 3),
    ],
)
def test_labels_of_a_plot_do_not_overlap(browser: Browser, pages: dict[str, str], name: str, plots: int):
    """In the browser's own font, which is not the one that the labels were measured in."""
    look(browser, pages[name])
    labels = browser.execute_script(
        "return [...document.querySelectorAll('svg[data-plot]')].map(svg => [...svg.querySelectorAll('text')].map("
        "text => { const box = text.getBoundingClientRect();"
        " return [text.textContent, box.left + 1, box.right, box.top + 2, box.bottom] }))"
    )
    assert len(labels) == plots
    assert [pair for texts in labels for pair in combinations(texts, 2) if overlap(*pair)] == []


@pytest.mark.parametrize("screen", SCREENS)
def test_row_warnings_are_in_sight_at_their_row_however_far_it_is_scrolled(
    browser: Browser, pages: dict[str, str], screen: str
):
    look(browser, pages["thorough"], screen=screen)
    for scrolled in (0, 10_000):
        browser.execute_script("document.querySelector('table.main').parentElement.scrollLeft = arguments[0]", scrolled)
        warnings = browser.execute_script(
            "return [...document.querySelectorAll('.why li')].map(item => { const box = item.getBoundingClientRect(),"
            " row = item.closest('tr').previousElementSibling,"
            " around = item.closest('.scroll').getBoundingClientRect();"
            " return [row.dataset.variant, item.scrollWidth <= item.clientWidth, box.left >= around.left,"
            " box.right <= around.right, Math.abs(box.top - row.getBoundingClientRect().bottom) < 40] })"
        )
        assert warnings == [
            [name, True, True, True, True]
            for name in ("onnx.int8", "onnx.uint8", "onnx.u8s8", "torch.int8", "torch.x86")
        ]


def test_the_sections_of_a_thorough_experiment_are_in_the_contents_and_seen(browser: Browser, pages: dict[str, str]):
    look(browser, pages["thorough"])
    for name, svgs, rows in (("draws", 1, 5), ("curve", 1, 3), ("cpus", 1, 4), ("layers", 2, 68)):
        assert browser.find_element(By.CSS_SELECTOR, f'nav a[href="#{name}"]').is_displayed()
        part = browser.find_element(By.ID, name)
        drawn = part.find_elements(By.TAG_NAME, "svg")
        assert len(drawn) == svgs
        assert all(svg.size["width"] > 600 and svg.size["height"] > 150 for svg in drawn)
        assert len(part.find_elements(By.CSS_SELECTOR, "tbody tr")) == rows


@pytest.mark.parametrize("scheme", SCHEMES)
def test_a_plot_alone_has_the_colours_of_the_scheme(browser: Browser, tmp_path: Path, scheme: str):
    path = tmp_path / "alone.svg"
    path.write_text(layers.alone(thorough.explained()["onnx.int8"]), encoding="utf-8")
    look(browser, path.as_uri(), scheme)
    ground, text, width = browser.execute_script(
        "const root = document.documentElement;"
        "return [getComputedStyle(root).backgroundColor, getComputedStyle(root.querySelector('text')).fill,"
        " root.getBoundingClientRect().width]"
    )
    style = (page.TEMPLATES / "style.css").read_text()
    half = style[: style.index("* {")].split("@media")[SCHEMES.index(scheme)]
    wanted = [re.search(rf"--{name}: (#\w+)", half)[1] for name in ("card", "ink")]  # type: ignore[index]
    assert [as_rgb(colour) for colour in wanted] == [ground, text]
    assert width == layers.WIDTH


def as_rgb(colour: str) -> str:
    """Of #rgb or #rrggbb, as a browser tells it."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    return f"rgb({', '.join(str(int(digits[place : place + 2], 16)) for place in (0, 2, 4))})"


def overlap(one: list[float], other: list[float]) -> bool:
    """Of (text, left, right, top, bottom)."""
    return one[1] < other[2] and other[1] < one[2] and one[3] < other[4] and other[3] < one[4]


def test_the_schemes_differ_and_plots_follow(browser: Browser, pages: dict[str, str]):
    colours = {}
    for scheme in SCHEMES:
        look(browser, pages["default"], scheme)
        colours[scheme] = browser.execute_script(
            "const of = (what, key) => getComputedStyle(document.querySelector(what))[key];"
            "return [of('body', 'backgroundColor'), of('body', 'color'), of('svg text', 'fill')]"
        )
    assert not set(colours["light"]) & set(colours["dark"])
    for _, ink, text in colours.values():
        assert text == ink


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["default", "troubled", "nothing", "thorough", "regression", "fidelity"])
def test_no_one_is_locked_out(browser: Browser, pages: dict[str, str], axe: str, name: str, scheme: str):
    look(browser, pages[name], scheme)
    browser.execute_script("document.querySelectorAll('details').forEach(found => found.open = true)")
    browser.execute_script(axe)
    violations = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(result => done(result.violations))"
    )
    assert [
        (rule["id"], rule["nodes"][0]["html"]) for rule in violations if rule["impact"] in ("serious", "critical")
    ] == []


@pytest.mark.parametrize("scheme", SCHEMES)
def test_text_in_plots_and_coloured_cells_can_be_read(browser: Browser, pages: dict[str, str], scheme: str):
    """Contrast of every colour pair that the style sheet allows for text, from its own variables."""
    look(browser, pages["default"], scheme)
    style = "return getComputedStyle(document.documentElement).getPropertyValue(arguments[0]).trim()"
    grounds = ["card", "page", "soft", *(f"{kind}-{level}" for kind in ("loss", "gain") for level in (1, 2, 3))]
    pairs = [("ink", ground) for ground in grounds]
    pairs += [(text, ground) for text in ("muted", "accent", "good", "bad", "warn") for ground in ("card", "soft")]
    pairs += [
        ("muted", "page"),
        ("muted", "good-soft"),
        ("good", "good-soft"),
        ("warn", "warn-soft"),
        ("warn", "good-soft"),
    ]
    for text, ground in pairs:
        values = [luminance(browser.execute_script(style, f"--{name}")) for name in (text, ground)]
        assert (max(values) + 0.05) / (min(values) + 0.05) >= 4.5, (text, ground)


def luminance(colour: str) -> float:
    """Relative luminance of #rgb or #rrggbb (WCAG 2.2)."""
    digits = colour.removeprefix("#")
    digits = digits if len(digits) == 6 else "".join(2 * digit for digit in digits)
    parts = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_the_page_prints_whole(browser: Browser, pages: dict[str, str]):
    """Nothing is hidden on paper behind a summary that no one can open there."""
    look(browser, pages["default"])
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        shown = browser.execute_script(
            "return [...document.querySelectorAll('details > :not(summary)')].map(found => found.checkVisibility())"
        )
    finally:
        browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert shown
    assert all(shown)


def test_importing_the_page_imports_no_plots():
    late = ("matplotlib", "jinja2", "PIL")
    code = f"import sys, driver.report.page.page; print([name for name in {late} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
