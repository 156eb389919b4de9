"""The site: every notebook a page, formulas drawn, links that lead somewhere, no solution leaks."""

import base64
import fnmatch
import html
import io
import itertools
import json
import posixpath
import re
import tomllib
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from PIL import Image
from test_release import secrets, squeezed

from helpers import explore
from helpers.course import editions, notebooks, release, site
from helpers.course.__main__ import main
from helpers.session import ROOT

REAL = notebooks.find(everything=True)
README = """# A course

![Two digits on black](figures/cover.png)

## Start

Read [how to teach](TEACHING.md#the-evening-before), and the [licence](LICENSE).

## The notebooks

| notebook | the question | class time | one run |
|---|---|---|---|
| [01_a](notebooks/01_a.ipynb) | What is **that**? | 75 min | 1 min |
"""
LIVE = (
    "<title>Run it</title><h1>Run it</h1><p>near black</p>"
    '<h2 id="ask"><span class="number">2</span> Ask</h2>'
)
STUDENTS = "# The copy\n\n## Handing in\n\nHand it in. {data}\n"
SOLUTION = "return 3.14159 * radius**2"
NOTE = "Ask this, and wait."


def png():
    file = io.BytesIO()
    Image.new("L", (3, 2)).save(file, "png")
    return file.getvalue()


def text(source, *tags):
    return new_markdown_cell(source, metadata={"tags": list(tags or ["must"])})


def code(source, *outputs, **metadata):
    tags = {"tags": ["should"], **metadata}
    return new_code_cell(source, outputs=list(outputs), metadata=tags)


def shown(**data):
    kinds = {"png": "image/png", "html": "text/html", "plain": "text/plain"}
    return new_output("display_data", data={kinds[key]: value for key, value in data.items()})


def printed(text):
    return new_output("stream", text=text)


def answer():
    source = f"# ANSWER 01-1\ndef area(radius):\n    {editions.BEGIN}\n    {SOLUTION}\n"
    graded = {"solution": True, "grade": True, "points": 1, "grade_id": "01-1"}
    return code(
        source + f"    {editions.END}",
        course={"exercise": "01-1", "minutes": 5, "points": 1},
        nbgrader=graded,
    )


@pytest.fixture
def small(course, monkeypatch):
    """A course of two notebooks; returns a function that makes its site and reads the pages."""
    monkeypatch.setattr(site, "ROOT", course.root)
    monkeypatch.setattr(explore, "page", lambda: LIVE)
    for name, content in {
        "README.md": README,
        "TEACHING.md": "# Teaching\n\n## The evening before\n",
        "LICENSE": "MIT",
        release.READMES["students"]: STUDENTS,
    }.items():
        (course.root / name).parent.mkdir(parents=True, exist_ok=True)
        (course.root / name).write_text(content, encoding="utf-8")
    (course.root / "figures").mkdir()
    (course.root / "figures" / "cover.png").write_bytes(png())
    picture = base64.b64encode(png()).decode()
    course.save(
        "01_a",
        text("# 01 · The area\n\n![A circle](../figures/cover.png)"),
        text("## 1. How large? · must\n\n**Predict.** $A$ or $\\log p$?\n\n- **A.** so"),
        text(
            "## 2. Why? · should\n\n$$A = \\pi r^2$$ See [the next](further/07_b.ipynb).", "should"
        ),
        text(NOTE, "must", "instructor"),
        answer(),
        code('check("01-1", area)', printed("✓ 01-1: right.\n")),
        code("draw()", shown(png=picture, plain="a circle, and what to see"), printed("1 < 2\n")),
        code("table()", shown(html='<table border="1"><tr><td>7</td></tr></table>', plain="7")),
        code("claim()", printed("three\n✓ it is so\n✗ it is not\n")),
    )
    course.save("further/07_b", text("# 07 · The end\n\nA price of 5 $ is no formula, 6 $ neither"))

    def make(*arguments):
        out = course.root / "build" / "out"
        out.parent.mkdir(exist_ok=True)
        main(["site", "--out", str(out), *arguments])
        pages = out.rglob("*.*")
        return {
            path.relative_to(out).as_posix(): path.read_text(encoding="utf-8")
            for path in pages
            if path.suffix in (".html", ".js", ".txt")
        }

    return make


def objection(make, *arguments):
    with pytest.raises(SystemExit) as stop:
        make(*arguments)
    assert str(stop.value.code).startswith("error: ")
    return str(stop.value.code)


# --- what stands on a page


def test_the_first_page_has_a_card_for_each_notebook_and_the_rest_of_the_readme(small, capsys):
    pages = small()
    assert "5 pages for teachers: open" in capsys.readouterr().out
    index = pages["index.html"]
    assert '<a href="01_a.html">01 · The area</a>' in index
    assert "What is <strong>that</strong>?" in index
    assert '<a href="teaching.html#the-evening-before">how to teach</a>' in index
    assert (
        '<a href="files/LICENSE.txt">licence</a>' in index and "MIT" in pages["files/LICENSE.txt"]
    )
    assert "| notebook |" not in index and "75 min" not in index


def test_a_page_shows_text_formulas_code_and_what_came_out(small):
    page = small()["01_a.html"]
    assert page.count("<math") == 3 and 'alttext="A = \\pi r^2"' in page
    assert '<h2 data-path-of="should" id="2-why">2. Why? ' in page
    assert 'data-path="should"' in page and '<span class="path should">should</span>' in page
    assert '<a href="07_b.html">the next</a>' in page
    assert 'alt="a circle, and what to see"' in page and 'width="3"' in page
    assert '<pre class="said">1 &lt; 2</pre>' in page
    assert '<p class="claim holds">✓ it is so</p>' in page
    assert '<p class="claim fails">✗ it is not</p>' in page
    assert '<div class="table"><table>' in page
    assert '<p class="vote">' in page


@pytest.mark.parametrize("reader", site.READERS)
def test_the_page_that_runs_networks_backwards_comes_along(small, course, reader):
    course.save(
        "01_a",
        text("# A"),
        code('from helpers import explore\nexplore.show("05")', printed("below")),
    )
    pages = small("--for", reader)
    assert pages["explore.html"] == LIVE
    link = '<a href="explore.html">Run it</a>'
    for name in ("index.html", "07_b.html"):
        menu = re.search(r'<nav id="menu".*?</nav>', pages[name], re.DOTALL)[0]
        assert link in menu
    assert [pages[name].count(link) for name in ("index.html", "01_a.html", "07_b.html")] == [
        2,
        2,
        1,
    ]
    assert (
        '["explore.html","Run it",[["","Run it","","near black"],["ask","2 Ask","",""]]]'
        in (pages["search.js"])
    )


def test_a_missing_network_of_that_page_is_named(small, monkeypatch):
    def gone():
        raise FileNotFoundError("judge_mlp belongs to this repository")

    monkeypatch.setattr(explore, "page", gone)
    assert "judge_mlp belongs" in objection(small)


def test_a_figure_leads_to_itself_and_a_cover_to_its_notebook(small):
    pages = small()
    figure = '<a class="larger" href="figures/01_a_01.png"><img alt="a circle, and what'
    assert figure in pages["01_a.html"]
    assert '<div class="cover"><img src="figures/cover.png" alt=""' in pages["index.html"]


def test_two_headings_of_one_title_have_two_anchors(small, course):
    course.save("01_a", text("# A\n\n## So\n\n## So\n\n●●○ · 8 minutes · must"))
    page = small()["01_a.html"]
    assert 'id="so"' in page and 'id="so-1"' in page
    assert '<p class="about">●●○ · 8 minutes · <span class="path must">must</span></p>' in page


def test_a_price_is_no_formula(small):
    page = small()["07_b.html"]
    assert "<math" not in page and "5 $ is no formula" in page


@pytest.mark.parametrize(("ground", "text"), [("#35b779", "#000000"), ("#31688e", "#ffffff")])
def test_text_in_a_coloured_cell_can_be_read(ground, text):
    style = "<style>#T_0 {\n  background-color: %s;\n  color: %s;\n}</style>"
    made = site._table(style % (ground, "#f1f1f1"))
    assert made == style % (ground, text)
    assert contrast(ground, text) >= 4.5


def test_pages_lead_to_the_next_and_to_the_last(small):
    pages = small()
    assert '<a rel="next" href="07_b.html">' in pages["01_a.html"]
    assert '<a rel="prev" href="01_a.html">' in pages["07_b.html"]
    assert '<a href="07_b.html" aria-current="page">' in pages["07_b.html"]
    assert '<a href="#2-why">2. Why?</a>' in pages["01_a.html"]


def test_teachers_get_solutions_and_notes_folded(small):
    page = small()["01_a.html"]
    folded = " ".join(re.findall(r"<details.*?</details>", page, re.DOTALL))
    assert squeezed(SOLUTION) in squeezed(plain(folded)) and NOTE in folded
    rest = re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL)
    assert "3.14159" not in rest and NOTE not in rest


def test_students_get_neither_and_not_what_a_check_said(small):
    pages = small("--for", "students")
    assert "teaching.html" not in pages
    for name, page in pages.items():
        assert "3.14159" not in page and NOTE not in page and "01-1: right" not in page, name
    assert "NotImplementedError" in pages["01_a.html"]
    assert "it is so" in pages["01_a.html"] and "a circle, and" in pages["01_a.html"]
    assert "Handing in" in pages["index.html"] and "how to teach" not in pages["index.html"]


def test_each_section_can_be_found(small):
    [index] = re.findall(r"window\.searched=(.*)\n", small()["search.js"])
    found = {page: sections for page, _, sections in json.loads(index)}
    anchor, heading, path, words = found["01_a.html"][2]
    assert (anchor, heading, path) == ("2-why", "2. Why?", "should")
    assert "claim()" in words and "a circle, and what to see" in words


# --- when it cannot be made


def test_a_formula_that_cannot_be_drawn_stops_it_and_nothing_is_written(small, course):
    course.save("01_a", text("# A\n\n$\\undefinedcommand x$"))
    assert "command that is not known: \\undefinedcommand x" in objection(small)
    assert not list((course.root / "build").iterdir())


def test_a_link_to_nothing_is_named(small, course):
    course.save("01_a", text("# A\n\n[b](02_gone.ipynb)"))
    assert "notebooks links 02_gone.ipynb: no such file" in objection(small)


def test_a_folder_that_is_missing_or_holds_something_else_is_named(small, course):
    build = course.root / "build"
    build.mkdir()
    assert "there is no folder" in objection(small, "--out", str(build / "no" / "site"))
    file = build / "file"
    file.write_text("mine")
    assert f"{file} is a file" in objection(small, "--out", str(file))
    (build / "mine").mkdir()
    (build / "mine" / "letter").write_text("mine")
    assert "holds other files" in objection(small, "--out", str(build / "mine"))
    assert (build / "mine" / "letter").read_text() == "mine"
    assert "outside the course" in objection(small, "--out", str(course.root / "figures"))


def test_no_notebook_is_said(small, course):
    for path in notebooks.FOLDER.rglob("*.ipynb"):
        path.unlink()
    assert "there is no notebook in" in objection(small)


def test_a_new_site_takes_the_place_of_the_old_one_and_a_failed_one_does_not(small, course):
    small()
    (course.root / "build" / "out" / "left.html").write_text("of an older site")
    assert "left.html" not in small()
    course.save("01_a", text("# A\n\n![b](gone.png)"))
    objection(small)
    index = course.root / "build" / "out" / "index.html"
    assert "01 · The area" in index.read_text(encoding="utf-8")


# --- the course itself


class Tags(HTMLParser):
    """The tags of a page, and the text that is shown outside of code."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self.within = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        if tag in ("code", "pre", "script", "style", "math"):
            self.within.append(tag)

    def handle_endtag(self, tag):
        if self.within and self.within[-1] == tag:
            self.within.pop()

    def handle_data(self, data):
        if not self.within:
            self.words.append(data)


def plain(page):
    return html.unescape(re.sub(r"<[^>]+>", "", page))


@pytest.fixture(scope="module", params=site.READERS)
def edition(request):
    """The files of the real site: (reader, {name: bytes})."""
    return request.param, site.Site(request.param).files()


@pytest.fixture(scope="module")
def files(edition):
    return edition[1]


@pytest.fixture(scope="module")
def pages(files):
    return {n: Tags(text.decode()) for n, text in files.items() if n.endswith(".html")}


def test_every_formula_of_every_notebook_is_drawn(pages, files):
    for path in REAL:
        cells = [c for c in notebooks.read(path).cells if c.cell_type == "markdown"]
        if "teaching.html" not in pages:
            cells = [cell for cell in cells if "instructor" not in notebooks.tags(cell)]
        source = re.sub(r"`[^`\n]+`", "", "\n\n".join(cell.source for cell in cells))
        written = re.findall(r"\$\$.+?\$\$|(?<![\d ] )\$(?! )[^$\n]+(?<! )\$", source, re.DOTALL)
        drawn = files[f"{path.stem}.html"].decode().count("<math ")
        assert drawn == len(written), f"{path.stem}: {drawn} drawn, {len(written)} written"


def test_no_formula_is_left_as_it_is_typed(pages):
    for name, page in pages.items():
        words = " ".join(page.words)
        assert not re.search(r"\$\$|\$[\w\\({-]|\\[A-Za-z]{2,}", words), name


def test_every_link_leads_somewhere_and_nothing_asks_the_network(pages, files):
    anchors = {}
    for name, page in pages.items():
        ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
        twice = {one for one in ids if ids.count(one) > 1 and not one.startswith("T_")}
        assert not twice, f"{name} has these anchors twice: {twice}"
        anchors[name] = {*ids, ""}
    for name, page in pages.items():
        for tag, attributes in page.tags:
            address = attributes.get("href", attributes.get("src"))
            if address is None or address == "data:,":
                continue
            link = urlsplit(address)
            assert tag == "a" or not (link.scheme or link.netloc), f"{name} loads {address}"
            if link.scheme in ("http", "https"):
                continue
            target = posixpath.normpath(unquote(link.path)) if link.path else name
            assert target in files, f"{name} links {address}"
            if target in anchors:
                assert unquote(link.fragment) in anchors[target], f"{name} links {address}"
    for name in site.STATIC:
        assert not re.search(r"https?:|url\(|@import|fetch\(\"", files[name].decode()), name


def test_what_the_search_finds_can_be_opened(files):
    for name, _, sections in json.loads(files["search.js"].decode().partition("=")[2]):
        ids = {attributes.get("id") for _, attributes in Tags(files[name].decode()).tags}
        assert {anchor for anchor, *_ in sections} <= {*ids, ""}
    assert len(files["search.js"]) < 1_500_000


def test_every_picture_says_what_it_shows(pages):
    for path in REAL:
        book = notebooks.read(path)
        stored = [
            " ".join(output.data["text/plain"].split())
            for cell in notebooks.code_cells(book)
            for output in cell.outputs
            if "image/png" in output.get("data", {})
        ]
        alts = [a["alt"] for tag, a in pages[f"{path.stem}.html"].tags if tag == "img"]
        assert [alt for alt in alts if alt in stored] == stored
        assert all(len(alt.split()) >= 4 for alt in alts)
    for page in pages.values():
        for (_, before), (tag, shown) in itertools.pairwise(page.tags):
            if tag == "img" and shown["alt"]:
                assert before == {"class": "larger", "href": shown["src"]}
    covers = [a for tag, a in pages["index.html"].tags if tag == "img" and not a["alt"]]
    assert len(covers) == len(REAL)  # beside a link that says more


def test_no_page_for_students_holds_a_solution(edition):
    reader, files = edition
    texts = {
        name: squeezed(plain(content.decode()))
        for name, content in files.items()
        if name.endswith((".html", ".js", ".txt"))
    }
    lines = {line for where, line in secrets() if where.endswith(tuple("0123456789"))}
    found = [f"{name}: {line}" for name, page in texts.items() for line in lines if line in page]
    assert len(lines) > 50
    assert bool(found) == (reader == "teachers"), found[:5]
    notes = [
        cell.source
        for path in REAL
        for cell in notebooks.read(path).cells
        if "instructor" in notebooks.tags(cell)
    ]
    shown = " ".join(texts.values())
    for note in notes:
        opening = squeezed(max(re.split(r"[*`|$<\n]", note), key=len))
        assert (opening in shown) == (reader == "teachers"), opening


# --- how it looks


CSS = (site.TEMPLATE / "site.css").read_text(encoding="utf-8")
PALETTE = dict(re.findall(r"--(\w+): light-dark\(([^)]+)\)", CSS))


def used(*properties):
    names = "|".join(properties)
    declared = re.findall(rf"(?<![-\w])(?:{names}): ([^;}}]+)", CSS)
    return {each.strip() for each in declared} - {"inherit", "none", "currentColor"}


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(one, other):
    """The ratio of WCAG 2, from 1 to 21."""
    dark, light = sorted([luminance(one), luminance(other)])
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("place", "scheme"), [(0, "light"), (1, "dark")])
def test_every_text_can_be_read_on_every_ground(place, scheme):
    names = {kind: {v[6:-1] for v in used(kind)} for kind in ("color", "background")}
    grounds = names["background"] - {"paper"}  # only pictures stand on it
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert len(names["color"]) > 8 and len(grounds) > 3
    for word in names["color"]:
        for ground in grounds:
            pair = [PALETTE[name].split(", ")[place] for name in (word, ground)]
            assert contrast(*pair) >= 4.5, f"{word} on {ground}, {scheme}: {contrast(*pair):.2f}"


def test_every_colour_is_one_of_the_palette():
    for value in used("color", "background"):
        assert re.fullmatch(r"var\(--\w+\)", value), value


def test_what_pages_are_made_of_is_installed_with_the_library():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    patterns = settings["tool"]["setuptools"]["package-data"]["helpers.course"]
    folder = ROOT / "helpers" / "course"
    for path in folder.rglob("*.*"):
        name = path.relative_to(folder).as_posix()
        if path.suffix not in (".py", ".pyc"):
            assert any(fnmatch.fnmatch(name, pattern) for pattern in patterns), name
