"""The course as people meet it: JupyterLab in a real browser, with clicks and keys.

``pytest -m browser`` runs these tests alone. They take the browser of the system, and never
download one. What they saw is kept in build/browser, to be looked at.
"""

import contextlib
import importlib.util
import json
import os
import re
import secrets
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import matplotlib.font_manager
import nbformat
import psutil
import pytest

from helpers.course import editions, notebooks, release
from helpers.session import ROOT

# the last is often a program that only says where to get one
BROWSERS = ("google-chrome", "chrome", "chromium", "chromium-browser")
PROGRAM = next(filter(None, map(shutil.which, BROWSERS)), None)
WANTING = [
    *([] if importlib.util.find_spec("playwright") else ["`pip install -e .[browser]`"]),
    *([] if PROGRAM else ["Chromium or Chrome on the PATH"]),
]
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(bool(WANTING), reason=f"a browser test needs {' and '.join(WANTING)}"),
]

PICTURES = notebooks.BUILD / "browser"
PROJECTOR = {"width": 1280, "height": 720}
# seconds at most: for the browser, for a page or one cell, for a whole notebook, and for a test
LAUNCH, START, RUN, TEST = 60, 300, 900, 1500
RED = '[data-mime-type="application/vnd.jupyter.stderr"]'  # JupyterLab shows exceptions so too
OUTPUT = ".jp-OutputArea-output"
DOTS = ".jp-Placeholder-contentContainer"  # in the place of a folded solution
WRONG = "return kernel * kernel * channels_in * filters"
RIGHT = "return (kernel * kernel * channels_in + 1) * filters"
FIT = """image => ({
    source: image.src.slice(0, 60),
    pixels: image.naturalWidth,
    over: image.getBoundingClientRect().right
        - image.closest('.jp-Cell').getBoundingClientRect().right,
})"""
RAN = re.compile(r"^\[\d+\]:$")


@contextlib.contextmanager
def launched(program):
    """Start a browser, or skip the tests; with it comes a function that ends it at once."""
    with contextlib.ExitStack() as stack:
        try:
            from playwright.sync_api import sync_playwright

            playwright = stack.enter_context(sync_playwright())
            before = psutil.Process().children(recursive=True)
            started = playwright.chromium.launch(executable_path=program, timeout=1000 * LAUNCH)
            started.new_page().close()
        except Exception as error:
            said = str(error).partition("\n")[0]
            pytest.skip(f"a browser test needs a browser that starts; {program} does not: {said}")
        processes = set(psutil.Process().children(recursive=True)).difference(before)

        def end():
            for process in processes:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()

        yield started, end
        started.close()


@pytest.fixture(scope="module")
def browser():
    """Start the browser of the system, once for all tests."""
    PICTURES.mkdir(parents=True, exist_ok=True)
    with launched(PROGRAM) as started:
        yield started


@pytest.fixture
def page(browser):
    """Open an empty page of the size of a projector; a test that takes too long loses it."""
    started, end = browser
    opened = started.new_page(viewport=PROJECTOR)
    opened.set_default_timeout(1000 * START)
    late = threading.Timer(TEST, end)
    late.start()
    yield opened
    late.cancel()
    opened.close()


@pytest.fixture
def lab(page, tmp_path, request):
    """Return a function that starts JupyterLab in a folder; keep the last screen of a test."""
    servers = []

    def start(folder):
        token = secrets.token_hex()
        environment = as_a_person(folder, tmp_path / "home") | {"JUPYTER_TOKEN": token}
        command = [sys.executable, "-m", "jupyterlab", "--no-browser", "--port=0", "--allow-root"]
        log = tmp_path / "lab.log"
        with log.open("w") as said:  # not a pipe, which a kernel that is stuck would keep open
            server = subprocess.Popen(
                command, cwd=folder, env=environment, stdout=subprocess.DEVNULL, stderr=said
            )
        servers.append(server)
        return Lab(page, f"{address(server, log)}lab?token={token}", folder)

    yield start
    try:
        page.screenshot(path=PICTURES / f"{request.node.name}.png")
    finally:
        for server in servers:
            server.terminate()
            try:
                server.wait(timeout=60)
            except subprocess.TimeoutExpired:
                server.kill()


def as_a_person(folder, home):
    """Return the environment of somebody who starts in a folder, in the lite profile."""
    # nobody is asked about news
    news = home / "settings" / "@jupyterlab" / "apputils-extension"
    news.mkdir(parents=True)
    (news / "notification.jupyterlab-settings").write_text(json.dumps({"fetchNews": "false"}))
    ours = ("COURSE_", "JUPYTER", "IPYTHON", "PYTEST_")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    return environment | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(home / "settings"),
        "JUPYTERLAB_WORKSPACES_DIR": str(home / "workspaces"),
        "IPYTHONDIR": str(home / "ipython"),
        "MPLCONFIGDIR": matplotlib.get_cachedir(),  # in a new home, fonts are looked for on red
        "PYTHONPATH": str(folder),  # the helpers of that folder, not those of this one
        "COURSE_PROFILE": "lite",
        "NO_PROXY": "localhost,127.0.0.1",
    }


def address(server, log):
    """Wait until a server writes where it listens."""
    late = time.monotonic() + START
    while server.poll() is None and time.monotonic() < late:
        said = log.read_text(encoding="utf-8", errors="replace")
        if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/", said):
            return found[0]
        time.sleep(0.1)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text(errors='replace')}")


class Lab:
    """JupyterLab in a page, and what a person does there."""

    def __init__(self, page, url, folder):
        self.page, self.url, self.folder = page, url, folder
        self.notebook = None

    def open(self, name):
        """Open a notebook of the folder `notebooks` with clicks in the list of files."""
        self.notebook = nbformat.read(self.folder / "notebooks" / name, as_version=4)
        self.page.goto(self.url)
        for entry in ("notebooks", name):
            self.page.locator(".jp-DirListing-item", has_text=entry).dblclick()
        self.page.get_by_text("Python 3 (ipykernel) | Idle").wait_for()
        self.cell(len(self.notebook.cells) - 1).wait_for(state="attached")

    def place(self, text):
        """Return the place of the first cell that contains a text."""
        return next(i for i, cell in enumerate(self.notebook.cells) if text in cell.source)

    def cell(self, place):
        """Return a cell, found by its place in the notebook."""
        return self.page.locator(f'.jp-Notebook [data-windowed-list-index="{place}"]')

    def menu(self, *path):
        """Choose from the menu on top."""
        self.page.locator(".lm-MenuBar-item", has_text=path[0]).click()
        self.page.locator(".lm-Menu-item", has_text=re.compile(f"^{path[1]}")).first.click()

    def run(self, place):
        """Run one cell with the keyboard, and return it when it has finished."""
        cell = self.cell(place)
        prompt = cell.locator(".jp-InputPrompt")
        cell.locator(".cm-content").click()
        before = prompt.inner_text()
        self.page.keyboard.press("Control+Enter")
        self.page.wait_for_function(
            "([node, before]) => node.innerText !== before && /^\\[\\d+\\]:$/.test(node.innerText)",
            arg=[prompt.element_handle(), before],
        )
        return cell

    def write(self, place, source):
        """Replace the source of a cell by the keyboard."""
        self.cell(place).locator(".cm-content").click()
        self.page.keyboard.press("Control+A")
        self.page.keyboard.insert_text(source)

    def add_below(self, place, source):
        """Put a new cell below another, and return its place."""
        self.cell(place).locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Escape")
        self.page.keyboard.press("b")
        self.notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(source))
        self.write(place + 1, source)
        return place + 1

    def run_all(self):
        """Run all cells from the menu, and wait for the last or for something on red."""
        last = max(i for i, cell in enumerate(self.notebook.cells) if cell.cell_type == "code")
        self.menu("Run", "Run All Cells")
        finished = self.cell(last).locator(".jp-InputPrompt", has_text=RAN)
        finished.or_(self.page.locator(RED)).first.wait_for(state="attached", timeout=1000 * RUN)

    def picture(self, name):
        """Keep what is on the screen."""
        self.page.screenshot(path=PICTURES / f"{name}.png")

    def pages(self, name):
        """Read the notebook from top to bottom, and keep each screen."""
        pane = self.page.locator(".jp-Notebook .jp-WindowedPanel-outer")
        pane.evaluate("pane => { pane.scrollTop = 0 }")
        for number in range(1, 200):
            self.picture(f"{name}_{number:02}")
            if not pane.evaluate(
                """pane => new Promise(done => {
                    const before = pane.scrollTop
                    pane.scrollTop += pane.clientHeight - 60
                    const moved = () => done(pane.scrollTop > before + 1)
                    requestAnimationFrame(() => requestAnimationFrame(moved))
                })"""
            ):
                return


@pytest.fixture
def released(tmp_path):
    """Return a function that makes a copy of a notebook with the command `release`."""

    def make(*arguments):
        command = [sys.executable, "-m", "helpers.course", "release", *arguments, "--to"]
        environment = os.environ | {"PYTHONPATH": str(ROOT)}
        target = tmp_path / "copy"
        subprocess.run([*command, target], cwd=ROOT, env=environment, check=True, timeout=START)
        return target

    return make


def test_a_browser_that_does_not_start_is_a_reason_to_skip(tmp_path):
    program = tmp_path / "chromium"
    program.write_text("#!/bin/sh\necho requires the snap >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(pytest.skip.Exception, match=r"that starts; .*chromium does not: .*launch"):
        launched(str(program)).__enter__()


def test_a_person_need_not_wait_for_fonts(tmp_path):
    environment = as_a_person(ROOT, tmp_path / "home")
    code = "import matplotlib, pathlib; print(*pathlib.Path(matplotlib.get_cachedir()).iterdir())"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True)
    assert b"fontlist" in done.stdout


def test_an_instructor_runs_a_whole_notebook(lab, tmp_path):
    def left_out(folder, names):
        places = {name: (Path(folder) / name).relative_to(ROOT) for name in names}
        return [n for n, place in places.items() if n == ".git" or release.left_by_running(place)]

    shutil.copytree(ROOT, tmp_path / "course", ignore=left_out)
    course = lab(tmp_path / "course")
    course.open("01_train_cnn.ipynb")
    course.run_all()
    course.pages("01")
    seen = course.page.locator(".jp-Notebook")
    assert seen.locator(RED).all_text_contents() == []
    printed = "\n".join(seen.locator(".jp-OutputArea-output pre").all_text_contents())
    assert "✓" in printed
    assert "✗" not in printed
    assert not re.search("█|y done|  done|accuracy=", printed), "a progress bar left something"
    cells = notebooks.code_cells(course.notebook)
    stored = sum("image/png" in out.get("data", {}) for cell in cells for out in cell.outputs)
    assert seen.locator(".jp-OutputArea-output img").count() == stored
    for image in seen.locator("img").all():
        box = image.evaluate(FIT)
        assert box["pixels"] > 0, f"{box['source']} is not drawn"
        assert box["over"] <= 0, f"{box['source']} is wider than its cell"
    assert seen.locator("mjx-container").count() > 0
    assert seen.locator("mjx-merror").count() == 0


def test_a_student_answers_asks_for_hints_and_counts(lab, released):
    course = lab(released("01"))
    course.open("01_train_cnn.ipynb")
    course.run(1)
    answer = course.place("# ANSWER 01-1")
    stub = course.notebook.cells[answer].source
    assert editions.STUB in stub

    course.write(answer, stub.replace(editions.STUB, WRONG))
    course.run(answer)
    lines = course.run(answer + 1).locator(OUTPUT).inner_text().splitlines()
    assert lines[0].startswith("✗ 01-1, ")
    assert "bias" in lines[1]
    course.picture("student_wrong")

    own, hints = course.add_below(answer + 1, 'hint("01-1")'), []
    for _ in range(3):
        hints.append(course.run(own).locator(OUTPUT).inner_text())
    assert [text.splitlines()[-1].split(":")[0] for text in hints] == [
        f"01-1, hint {n} of 3" for n in (1, 2, 3)
    ]
    course.picture("student_hint")

    course.write(answer, stub.replace(editions.STUB, RIGHT))
    course.run(answer)
    assert course.run(answer + 1).locator(OUTPUT).inner_text().startswith("✓ 01-1: right.")
    course.picture("student_right")

    course.write(
        answer, "# ANSWER 01-1\ndef conv_parameters(kernel, channels_in, filters)\n    pass"
    )
    assert "SyntaxError" in course.run(answer).locator(RED).inner_text()
    assert "older definition" in course.run(answer + 1).locator(OUTPUT).inner_text()
    course.picture("student_typo")

    progress = course.run(len(course.notebook.cells) - 1).locator(OUTPUT).inner_text()
    assert re.search(r"1 of \d+ exercises tried, 1 right, 1 of \d+ points so far", progress)


def test_a_presenter_shows_a_copy_where_answers_open_at_a_click(lab, released):
    folder = released("05", "--presenter")
    course = lab(folder)
    course.open("05_cnn_inversion.ipynb")
    assert course.page.locator(OUTPUT).count() == 0
    cells = course.notebook.cells
    for place in (place for place, cell in enumerate(cells) if editions.is_answer(cell)):
        cell = course.cell(place)
        cell.scroll_into_view_if_needed()
        cell.locator(DOTS).wait_for()
        assert not cell.locator(".cm-content").is_visible()
    course.picture("presenter_folded")
    cell.locator(DOTS).click()
    cell.get_by_text("BEGIN SOLUTION").wait_for()

    folded = [place for place, cell in enumerate(cells) if "<details>" in cell.source]
    assert folded
    for place in folded:
        answer = course.cell(place).locator("details").first
        answer.scroll_into_view_if_needed()
        assert not answer.locator("p").first.is_visible()
        answer.locator("summary").click()
        answer.locator("p").first.wait_for()
        course.picture(f"presenter_answer_{place}")
        assert "$" not in answer.inner_text(), "a formula is not drawn"

    course.page.goto((folder / "notes" / "05_cnn_inversion.html").as_uri())
    course.page.screenshot(path=PICTURES / "notes.png", full_page=True)
    pdf = course.page.pdf(path=PICTURES / "notes.pdf", prefer_css_page_size=True)
    assert re.findall(rb"/Type /Page\b", pdf)


# every text with the ground that it stands on: the ratio of WCAG 2, where it is too low
TOO_PALE = """() => {
    const light = colour => {
        const linear = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05
    }
    const ground = node => {
        const colour = node ? getComputedStyle(node).backgroundColor : 'rgb(255, 255, 255)'
        return colour === 'rgba(0, 0, 0, 0)' ? ground(node.parentElement) : colour
    }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT), pale = []
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement
        if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue
        const [one, other] = [light(getComputedStyle(node).color), light(ground(node))]
        const ratio = Math.max(one, other) / Math.min(one, other)
        if (ratio < 4.5) pale.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.slice(0, 40)}`)
    }
    return pale
}"""
# characters in the lines of long paragraphs, the middle one of all
MEASURE = """() => {
    const counts = [...document.querySelectorAll('.cell > p')].flatMap(p => {
        const lines = p.getBoundingClientRect().height / parseFloat(getComputedStyle(p).lineHeight)
        return lines > 2.5 && !p.querySelector('math, img') ? [p.innerText.length / lines] : []
    })
    return counts.sort((a, b) => a - b)[Math.floor(counts.length / 2)]
}"""
UNSEEN = """() => [...document.querySelectorAll('math')]
    .filter(each => each.checkVisibility() && !(each.getBoundingClientRect().width > 2))
    .map(each => each.getAttribute('alttext'))"""


def test_a_reader_opens_the_site_from_a_file(page, tmp_path):
    command = [sys.executable, "-m", "helpers.course", "site", "--out", tmp_path / "site"]
    environment = os.environ | {"PYTHONPATH": notebooks.python_path()}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=START)
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    page.emulate_media(color_scheme="light")
    page.goto((tmp_path / "site" / "index.html").as_uri())
    page.screenshot(path=PICTURES / "site_index.png", full_page=True)

    # a link, the sections of one path, what is folded
    page.locator(".card", has_text="05 ·").get_by_role("link").click()
    page.wait_for_url("**/05_cnn_inversion.html")
    hidden = page.locator('.cell[data-path="should"]').first
    assert hidden.is_visible()
    page.get_by_role("button", name="should").click()
    assert not hidden.is_visible()
    assert page.locator('.cell[data-path="must"]').first.is_visible()
    page.reload()  # the choice is kept
    assert not hidden.is_visible()
    page.get_by_role("button", name="should").click()
    solution = page.locator("details.solution").first
    assert not solution.locator("pre").is_visible()
    solution.locator("summary").click()
    assert solution.locator("pre").is_visible()

    # a word that another page has
    page.keyboard.press("/")
    page.keyboard.type("contrastive divergence")
    found = page.locator("#found a", has_text="11 ·").first
    found.wait_for()
    assert "contrastive" in page.locator("#found mark").all_inner_texts()[0].lower()
    page.screenshot(path=PICTURES / "site_search.png")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.wait_for_url("**/11_boltzmann_machines.html*")

    # light and dark, on a projector and on a phone
    pages = sorted((tmp_path / "site").glob("*.html"))
    for name in ("dark", "light"):
        page.locator("button.theme").click()
        for file in pages:
            page.goto(file.as_uri())
            assert page.locator("html").get_attribute("data-theme") == name
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            assert page.evaluate(TOO_PALE) == [], f"{file.name}, {name}"
            assert page.evaluate(UNSEEN) == [], file.name
            if file.name.startswith("05"):
                assert 60 <= page.evaluate(MEASURE) <= 80
                page.screenshot(path=PICTURES / f"site_{name}.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    for file in pages:
        page.goto(file.as_uri())
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == 390, file.name
        if file.name.startswith("05"):
            page.screenshot(path=PICTURES / "site_phone.png", full_page=True)
            page.get_by_role("button", name="Menu").click()
            page.get_by_role("link", name="06 ·").first.click()
            page.wait_for_url("**/06_knn_inversion.html")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
