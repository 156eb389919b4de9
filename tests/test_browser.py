"""The course as people meet it: JupyterLab and the page of `explore`, with clicks and keys.

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
import socket
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path

import matplotlib.font_manager
import nbformat
import psutil
import pytest

from helpers import explore
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
PHONE = {"width": 390, "height": 844}
CELL = {"width": 830, "height": 1150}  # below a cell of a notebook on the projector
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
# a whole line after that one: other lines name other addresses, and the last may be half written
LISTENS = re.compile(r"is running at:\n.*?(http://(?:localhost|127\.0\.0\.1):\d+/\S*?)lab\b.*\n")
LOG = """[I ServerApp] a language server listens on http://localhost:4040/
[I ServerApp] Jupyter Server 2.21.1 is running at:
[I ServerApp] http://localhost:34519/lab?token=...
[I ServerApp]     http://127.0.0.1:34519/lab?token=...
"""


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


def accepts(url):
    """Say whether a server answers: it writes where it listens before it does."""
    with contextlib.suppress(OSError):
        where = urllib.parse.urlsplit(url)
        socket.create_connection((where.hostname, where.port), timeout=1).close()
        return True
    return False


def address(server, log):
    """Wait until a server writes where it listens, and does."""
    late = time.monotonic() + START
    while server.poll() is None and time.monotonic() < late:
        said = log.read_text(encoding="utf-8", errors="replace")
        if (found := LISTENS.search(said)) and accepts(found[1]):
            return found[1]
        time.sleep(0.1)
    ended = "did not start in time" if server.poll() is None else "ended"
    said = log.read_text(encoding="utf-8", errors="replace")
    raise AssertionError(f"JupyterLab {ended}:\n{said}")


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


def test_the_address_of_a_server_is_read_when_its_line_is_whole(tmp_path):
    found = {match[1] for n in range(len(LOG)) if (match := LISTENS.search(LOG[:n]))}
    assert found == {"http://localhost:34519/"}
    log = tmp_path / "log"
    log.write_text(LOG[:-100])
    with subprocess.Popen([sys.executable, "-c", ""]) as server:
        server.wait()
    with pytest.raises(AssertionError, match=r"JupyterLab ended:\n\[I ServerApp\] a language"):
        address(server, log)


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


# --- controls below a cell

COUNT = """image => {
    window.given = 0
    new MutationObserver(() => given++).observe(image, {attributeFilter: ['src']})
}"""


def test_a_room_moves_the_target_and_sees_the_picture_change(lab, released):
    course = lab(released("05"))
    course.open("05_cnn_inversion.ipynb")
    for text in ("helpers.setup()", "def naive_walk", "beginnings = {", "longer = {"):
        course.run(course.place(text))
    shown = course.run(course.place("live.walk("))
    said = shown.locator("[role=status]")
    said.wait_for()
    assert "A real 6 on its way to 3 through CNN" in said.inner_text()
    picture = shown.get_by_role("img", name="A real 6 on its way to 3 through CNN")
    picture.scroll_into_view_if_needed()
    course.picture("live_first")
    before = picture.screenshot()
    picture.evaluate(COUNT)

    slider = shown.locator(".widget-inline-hbox", has_text="target class").get_by_role("slider")
    slider.focus()
    course.page.keyboard.press("ArrowRight")
    course.page.wait_for_function("given > 2")  # in the middle of a walk
    course.page.keyboard.press("ArrowRight")
    picture = shown.get_by_role("img", name="A real 6 on its way to 5 through CNN")
    picture.wait_for()
    course.page.wait_for_function("given > 20")
    course.picture("live_walking")
    shown.locator("[role=status]", has_text="on its way to 5").wait_for()
    assert picture.screenshot() != before
    shown.get_by_label("network").select_option("MLP")
    shown.get_by_role("img", name="A real 6 on its way to 5 through MLP").wait_for()
    shown.locator("[role=status]", has_text="through MLP").wait_for()
    course.picture("live_last")
    assert course.page.locator(RED).count() == 0
    assert shown.get_by_role("alert").count() == 0


# --- the page of `explore`

SEVEN = [(0.28, 0.2), (0.72, 0.2), (0.45, 0.8)]  # shares of the pad, across and down


@pytest.fixture(scope="module")
def explore_page(tmp_path_factory):
    """Write the page into a folder of its own, as on a USB stick."""
    path = tmp_path_factory.mktemp("stick") / "explore.html"
    path.write_text(explore.page(), encoding="utf-8")
    return path.as_uri()


@pytest.fixture
def exploring(page, explore_page):
    """Open the page from its file; at the end, nothing went wrong and nothing was asked for."""
    said, asked = [], []
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(explore_page)
    page.locator(".sees b").first.wait_for()
    yield page
    assert said == []
    assert {url for url in asked if not url.startswith("data:")} == {explore_page}


def draw(page, points):
    box = page.locator("#pad").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()


def walk_to(page, target):
    """Ask for a digit, and wait until both networks have arrived."""
    page.locator("#targets button").nth(target).click()
    page.locator("#pause", has_text="Once more").wait_for()


def status(page):
    return page.locator("#status").inner_text()


def test_somebody_draws_a_digit_and_runs_both_networks_backwards(exploring):
    exploring.locator("#clear").click()
    draw(exploring, SEVEN)
    exploring.locator("#status", has_text="In your drawing").wait_for()
    assert exploring.locator(".sees b").all_inner_texts() == ["7", "7"]
    exploring.screenshot(path=PICTURES / "explore_drawn.png")

    exploring.locator("#targets button").nth(2).click()
    exploring.wait_for_function("walked() > 8")
    exploring.screenshot(path=PICTURES / "explore_walking.png")
    exploring.locator("#pause").click()
    stopped = exploring.evaluate("walked()")
    exploring.wait_for_timeout(300)
    assert exploring.evaluate("walked()") == stopped < 200
    exploring.locator("#pause", has_text="Go on").click()
    exploring.locator("#pause", has_text="Once more").wait_for()

    assert exploring.locator(".sees b").all_inner_texts() == ["2", "2"]
    assert "200 steps from your drawing. The plain network sees a 2" in status(exploring)
    assert exploring.locator("article tbody tr").count() == 6
    shown = exploring.evaluate("walks.map(w => w.find('.own').getAttribute('points').split(' '))")
    assert [len(points) for points in shown] == [201, 201]
    judged = exploring.evaluate("walks.map(w => w.opinions.length)")
    assert min(judged) > 50, "others look at every picture that is shown"
    exploring.locator(".keep").first.click()
    exploring.locator(".keep").last.click()
    kept = exploring.locator("#kept img")
    assert [image.get_attribute("alt")[:26] for image in kept.all()] == [
        "The picture of the robust ",
        "The picture of the plain n",
    ]
    with exploring.expect_download() as download:
        exploring.locator("#kept a").first.click()
    assert download.value.suggested_filename == "robust-2.png"
    exploring.screenshot(path=PICTURES / "explore_arrived.png", full_page=True)


def test_twenty_steps_of_the_page_are_those_of_the_library(exploring):
    import numpy as np

    from helpers import inversion, models

    steps = {"learning_rate": 0.1, "max_steps": 20}
    exploring.locator("#digits button").nth(4).click()
    exploring.evaluate("set('max_steps', 20)")
    walk_to(exploring, 9)
    start, *ends = (
        np.reshape(exploring.evaluate(f"Array.from({x})"), (1, 28, 28, 1)).astype(np.float32)
        for x in ("start.x", "walks[0].x", "walks[1].x")
    )
    traces = exploring.evaluate("walks.map(walk => walk.trace)")
    for name, end, trace in zip(("plain", "robust"), ends, traces, strict=True):
        model, _ = explore._load(explore.NETWORKS[name])
        model.set_weights([array.astype(np.float16) for array in model.get_weights()])
        expected = inversion.invert(model, start, 9, **steps)
        np.testing.assert_allclose(end, expected.images, atol=1e-4)
        np.testing.assert_allclose(trace, expected.trace[:, 0], atol=1e-4)
        assert np.linalg.norm(end - start) > 1
        sees = models.predict(model, end)[0]
        np.testing.assert_allclose(trace[-1], sees[9], atol=1e-4)


def test_four_steps_a_frame_leave_the_page_alive(exploring):
    """Generous: the computer of a test may be busy. On a quiet one a step takes 3 ms."""
    walk_to(exploring, 3)
    milliseconds = exploring.evaluate(
        """() => {
            const began = performance.now();
            for (let i = 0; i < 60; i++) walks[i % 2].take();
            return (performance.now() - began) / 60;
        }"""
    )
    assert milliseconds < 60


def test_everything_works_with_the_keyboard(exploring):
    exploring.locator("#clear").focus()
    exploring.keyboard.press("Enter")
    exploring.keyboard.press("Shift+Tab")
    assert exploring.evaluate("document.activeElement.id") == "pad"
    press = exploring.keyboard.press
    press("Space")
    for _ in range(22):
        press("ArrowDown")
    press("Space")
    exploring.locator("#status", has_text="In your drawing").wait_for()
    assert exploring.locator(".sees b").all_inner_texts() == ["1", "1"]
    exploring.locator("#learning_rate").focus()
    press("ArrowRight")
    assert exploring.locator("#learning_rate").get_attribute("aria-valuetext") == "0.2"
    exploring.locator("#max_steps").focus()
    press("Home")
    exploring.locator("#targets button").nth(8).focus()
    press("Enter")
    exploring.locator("#status", has_text="10 steps from your drawing").wait_for()
    order = []
    exploring.locator("body").focus()
    exploring.evaluate("document.activeElement.blur()")
    for _ in range(40):
        press("Tab")
        order.append(
            exploring.evaluate("document.activeElement.id || document.activeElement.className")
        )
    assert {"pad", "clear", "noise", "pause", "keep", "learning_rate", "speed"} <= set(order)


def test_a_screen_reader_is_told_what_there_is(exploring):
    walk_to(exploring, 3)
    unnamed = exploring.evaluate(
        """() => [...document.querySelectorAll("button, input, canvas, svg, [role=group]")]
            .filter(node => !node.closest("#digits button canvas, template"))
            .filter(node => !(node.getAttribute("aria-label") || node.textContent.trim()
                || node.labels?.length || node.getAttribute("aria-labelledby")))
            .map(node => node.outerHTML.slice(0, 80))"""
    )
    assert unnamed == []
    tree = exploring.locator("main").aria_snapshot()
    assert "200 steps from a real 6" in tree
    assert 'img "The picture of the plain network: a real 6, 200 steps towards a 3.' in tree
    assert re.search(r'img "p of a 3 went from 0\.\d\d to \d\.\d\d in 200 steps', tree)
    assert exploring.locator("#status").get_attribute("aria-live") == "polite"


CONTRAST = r"""() => {
    const light = colour => colour.match(/[\d.]+/g).slice(0, 3).map(Number)
        .map(v => v / 255 <= .04045 ? v / 255 / 12.92 : ((v / 255 + .055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [.2126, .7152, .0722][i], 0);
    const ground = node => {
        const colour = getComputedStyle(node).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" && node.parentElement
            ? ground(node.parentElement) : colour;
    };
    return [...document.querySelectorAll("main *")].filter(node => node.offsetParent
        && !node.disabled && node.id !== "hint"
        && [...node.childNodes].some(c => c.nodeType === 3 && c.data.trim())).map(node => {
        const [a, b] = [light(getComputedStyle(node).color), light(ground(node))].sort();
        return [(Math.max(a, b) + .05) / (Math.min(a, b) + .05), node.textContent.slice(0, 40)];
    }).sort((a, b) => a[0] - b[0])[0];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_can_be_read_on_a_phone_by_day_and_by_night(exploring, scheme):
    exploring.set_viewport_size(PHONE)
    exploring.emulate_media(color_scheme=scheme)
    walk_to(exploring, 5)
    assert exploring.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    for picture in exploring.locator(".picture").all():
        box = picture.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= PHONE["height"], "out of sight"
    targets = exploring.locator("#targets").bounding_box()
    assert targets["y"] >= 0, "the next digit cannot be asked for without a way back"
    contrast, text = exploring.evaluate(CONTRAST)
    assert contrast >= 4.5, text
    exploring.screenshot(path=PICTURES / f"explore_phone_{scheme}.png", full_page=True)
    for name, size in {"cell": CELL, "projector": PROJECTOR}.items():
        exploring.set_viewport_size(size)
        assert exploring.evaluate("document.documentElement.scrollWidth") <= size["width"]
        exploring.screenshot(path=PICTURES / f"explore_{name}_{scheme}.png", full_page=True)


def test_a_cell_opens_the_page_in_a_notebook(lab, tmp_path):
    folder = tmp_path / "course"
    (folder / "notebooks").mkdir(parents=True)
    (folder / "helpers").symlink_to(ROOT / "helpers")
    cell = nbformat.v4.new_code_cell('from helpers import explore\nexplore.show("07")')
    book = nbformat.v4.new_notebook(cells=[cell])
    book.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, folder / "notebooks" / "01.ipynb")
    course = lab(folder)
    course.open("01.ipynb")
    shown = course.run(0)
    assert shown.locator(RED).count() == 0
    inside = shown.frame_locator("iframe")
    inside.locator("#black").click()
    inside.locator("#targets button").nth(4).click()
    inside.locator("#status", has_text="100 steps from near black").wait_for()
    assert inside.locator(".sees b").all_inner_texts() == ["4", "4"]


# every text with the ground that it stands on: the ratio of WCAG 2, where it is too low; and what
# kinds of text there were
KINDS = ["p", "h2", "a", "nav a", ".path", "button", "summary", "td", "pre span", ".claim", "mark"]
TOO_PALE = """kinds => {
    const light = colour => {
        const linear = colour.match(/[\\d.]+/g).slice(0, 3).map(Number).map(c => c / 255)
            .map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05
    }
    const ground = node => {
        const colour = node ? getComputedStyle(node).backgroundColor : 'rgb(255, 255, 255)'
        return colour === 'rgba(0, 0, 0, 0)' ? ground(node.parentElement) : colour
    }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
    const pale = [], measured = new Set()
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement
        if (!walker.currentNode.data.trim() || !node.checkVisibility()) continue
        for (const kind of kinds) if (node.closest(kind)) measured.add(kind)
        const [one, other] = [light(getComputedStyle(node).color), light(ground(node))]
        const ratio = Math.max(one, other) / Math.min(one, other)
        if (ratio < 4.5) pale.push(`${ratio.toFixed(2)}: ${walker.currentNode.data.slice(0, 40)}`)
    }
    return [pale, [...measured]]
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


@pytest.fixture(scope="module")
def site_folder(tmp_path_factory):
    """Make the site for teachers, once for all tests."""
    folder = tmp_path_factory.mktemp("web") / "site"
    command = [sys.executable, "-m", "helpers.course", "site", "--out", folder]
    environment = os.environ | {"PYTHONPATH": notebooks.python_path()}
    subprocess.run(command, cwd=ROOT, env=environment, check=True, timeout=START)
    return folder


def test_a_reader_opens_the_site_from_a_file(page, site_folder):
    asked, said = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.on("console", lambda message: said.append(message.text))
    page.emulate_media(color_scheme="light")
    page.goto((site_folder / "index.html").as_uri())
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

    # the page of `explore`, which has tests of its own
    page.locator("#menu").get_by_role("link", name="Run a network backwards").click()
    page.locator(".sees b").first.wait_for()
    page.go_back()

    # light and dark, on a projector and on a phone
    pages = sorted(set(site_folder.glob("*.html")) - {site_folder / "explore.html"})
    for name in ("dark", "light"):
        page.locator("button.theme").click()
        measured = set()
        for file in pages:
            page.goto(file.as_uri())
            assert page.locator("html").get_attribute("data-theme") == name
            page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
            if file.name.startswith("11"):
                page.locator(".search input").fill("divergence")
                page.locator("#found mark").first.wait_for()
            pale, kinds = page.evaluate(TOO_PALE, KINDS)
            assert pale == [], f"{file.name}, {name}"
            measured.update(kinds)
            assert page.evaluate(UNSEEN) == [], file.name
            if file.name.startswith("05"):
                assert 60 <= page.evaluate(MEASURE) <= 80
                page.screenshot(path=PICTURES / f"site_{name}.png", full_page=True)
        assert measured == set(KINDS)
    page.set_viewport_size(PHONE)
    for file in pages:
        page.goto(file.as_uri())
        page.evaluate("for (const one of document.querySelectorAll('details')) one.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") == PHONE["width"], file.name
        if file.name.startswith("05"):
            page.screenshot(path=PICTURES / "site_phone.png", full_page=True)
            page.get_by_role("button", name="Menu").click()
            page.get_by_role("link", name="06 ·").first.click()
            page.wait_for_url("**/06_knn_inversion.html")
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []


def test_a_figure_opens_larger_on_a_phone_with_a_tap_or_a_key(page, site_folder):
    address = (site_folder / "05_cnn_inversion.html").as_uri()
    page.set_viewport_size(PHONE)
    page.goto(address)
    figure = page.locator("a.larger").nth(1)
    small, large = figure.locator("img"), page.locator("dialog img")
    figure.click()
    width = large.bounding_box()["width"]
    assert width >= PHONE["width"] and width > 2 * small.bounding_box()["width"]
    assert large.get_attribute("alt") == small.get_attribute("alt") != ""
    page.screenshot(path=PICTURES / "site_figure.png")
    page.keyboard.press("Escape")
    large.wait_for(state="detached")
    page.keyboard.press("Enter")  # the figure has the focus again
    large.click()
    large.wait_for(state="detached")
    page.set_viewport_size(PROJECTOR)
    figure.click()
    assert large.bounding_box()["width"] == PROJECTOR["width"]
    page.get_by_role("button", name="Close").click()
    large.wait_for(state="detached")

    without = page.context.browser.new_context(java_script_enabled=False, viewport=PHONE)
    with contextlib.closing(without):
        plain = without.new_page()
        plain.goto(address)
        plain.locator("a.larger").nth(1).click()
        plain.wait_for_url("**/figures/*.png")
