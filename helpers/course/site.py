"""Render the notebooks as a site of pages that open from a file and need no network."""

from __future__ import annotations

import base64
import html
import json
import os
import posixpath
import re
import shutil
import struct
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import urlsplit

from helpers.course import editions, notebooks, release
from helpers.session import ROOT

TEMPLATE = Path(__file__).with_name("site_template")
STATIC = ("site.css", "site.js")
MARKER = ".made-by-site"
READERS = ("teachers", "students")
# the documents that become pages, and which of them students get
DOCUMENTS = {
    "README.md": "index.html",
    "TEACHING.md": "teaching.html",
    "CONTRIBUTING.md": "contributing.html",
    "CHANGELOG.md": "changelog.html",
    "data/README.md": "data.html",
}
FOR_STUDENTS = ("README.md", "data/README.md")
EXPLORE = "explore.html"  # the page of the command `explore` comes along
MAP = "The notebooks"  # the section of README.md with the table of notebooks
ROW = re.compile(r"^\| \[\w+\]\((?P<path>[^)]+)\) \| (?P<question>.+?) \| ", re.MULTILINE)
SHOWS = re.compile(r"^explore\.show\(", re.MULTILINE)  # a cell that opens that page
PATH = re.compile(r" · (must|should|extra)$")
CLAIM = re.compile(r"^[✓✗] ")
# a cell of `Styler.background_gradient`
GRADIENT = re.compile(r"(background-color: (#[0-9a-f]{6});\s+color: )#[0-9a-f]{6}")
# letters of one \mathrm{…}: a single word, in one element
LETTERS = re.compile(r'(?:<mi mathvariant="normal">[A-Za-z]</mi>){2,}')
# TeX leaves a thin space between "log" and a letter
OPERATOR = re.compile(r"(<mi>(?:log|max|min|exp)</mi>)(?=<m(?:i|n|sub|sup|row|frac)\b)")


def add_parser(commands):
    """Say what the command takes."""
    parser = commands.add_parser(
        "site", description="Render the notebooks, as they are stored, to pages for a browser."
    )
    parser.add_argument(
        "--for",
        dest="reader",
        choices=READERS,
        default="teachers",
        help="students get no solutions and no notes to you; default: teachers, with both folded",
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="default: build/site")
    parser.set_defaults(main=main)


def main(arguments):
    """Run the command."""
    target = (arguments.out or notebooks.BUILD / "site").expanduser().resolve()
    if arguments.out is None:
        notebooks.BUILD.mkdir(exist_ok=True)
    count = build(target, arguments.reader)
    print(f"{count} pages for {arguments.reader}: open {target / 'index.html'}")


def build(target, reader="teachers"):
    """Write the site into a folder, in one step or not at all.

    Parameters
    ----------
    target : Path, absolute
        A folder that does not exist, is empty, or holds an earlier site.
    reader : {"teachers", "students"}
        Students get what `editions.students_copy` leaves, with the outputs of all cells but
        those that check an answer.

    Returns
    -------
    int
        The number of pages.

    Raises
    ------
    UsageError
        If the folder holds other files, or there is none that it could lie in; if there is no
        notebook; if an answer cell is malformed; if a page links a file that does not exist; or if
        a network of the page of `explore` is missing.
    """
    _check_target(target)
    files = Site(reader).files()
    temporary = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        for name, content in {**files, MARKER: b""}.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_bytes(content)
        release.replace(target, temporary)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return sum(name.endswith(".html") for name in files)


def _check_target(target):
    if target.is_relative_to(ROOT) and not target.is_relative_to(ROOT / "build"):
        raise notebooks.UsageError(
            f"--out must be outside the course or inside build/, not {target}"
        )
    if not target.parent.is_dir():
        raise notebooks.UsageError(
            f"--out must lie in a folder; there is no folder {target.parent}"
        )
    if target.exists() and not target.is_dir():
        raise notebooks.UsageError(f"--out must be a folder; {target} is a file")
    if target.exists() and any(target.iterdir()) and not (target / MARKER).exists():
        raise notebooks.UsageError(
            f"--out must be empty or hold an earlier site; {target} holds other files"
        )


class Site:
    """The pages of one edition, with what they show and link.

    Parameters
    ----------
    reader : {"teachers", "students"}

    Raises
    ------
    UsageError
        As `build`.
    """

    def __init__(self, reader):
        self.reader = reader
        books = {path: notebooks.read(path) for path in notebooks.find(everything=True)}
        if reader == "students":
            books = {path: _students_book(book, path.name) for path, book in books.items()}
        self.books = {_inside(path): book for path, book in books.items()}
        documents = {
            name: page
            for name, page in DOCUMENTS.items()
            if (ROOT / name).exists() and (reader == "teachers" or name in FOR_STUDENTS)
        }
        # where each file of the course that is shown becomes a page
        self.pages = {**documents, **{path: f"{Path(path).stem}.html" for path in self.books}}
        self.documents = documents
        self.copies = {}
        self.environment = _exporter(self, None).environment

    def files(self):
        """Return {name: bytes} of the whole site."""
        from helpers import explore

        try:
            live = explore.page()
        except FileNotFoundError as error:
            raise notebooks.UsageError(error) from None
        self.live = re.search("<title>(.+)</title>", live)[1]
        parts = {}
        for path in self.books:
            parts[path] = self._notebook(path)
        for path in self.documents:
            source = (ROOT / path).read_text(encoding="utf-8")
            parts[path] = self._index(source) if path == "README.md" else self._text(path, source)
        index = [
            _searchable(self.pages[path], part["title"], part["body"])
            for path, part in parts.items()
        ]
        index.append(_searchable(EXPLORE, self.live, live.partition("</h1>")[2]))
        searched = json.dumps(index, ensure_ascii=False, separators=(",", ":"))
        made = {self.pages[path]: self._page(path, parts) for path in parts}
        made |= {EXPLORE: live, "search.js": f"window.searched={searched}\n"}
        return {
            **{name: text.encode() for name, text in made.items()},
            **{name: (TEMPLATE / name).read_bytes() for name in STATIC},
            **self.copies,
        }

    # --- what stands on a page

    def _notebook(self, path):
        words = _words(self, posixpath.dirname(path), name=Path(path).stem)
        exporter = _exporter(self, words)
        body, _ = exporter.from_notebook_node(self.books[path])
        return {"title": words.title or Path(path).stem, "body": body, "contents": words.contents}

    def _text(self, path, source):
        words = _words(self, posixpath.dirname(path))
        body = f'<div class="cell">{words.html(source)}</div>'
        return {"title": words.title, "body": body, "contents": words.contents}

    def _index(self, source):
        """Make the page of README.md, with its table of notebooks as cards."""
        before, *sections = re.split(r"^(?=## )", source, flags=re.MULTILINE)
        sections = {text.partition("\n")[0].lstrip("# "): text for text in sections}
        questions = {row["path"]: row["question"] for row in ROW.finditer(sections.get(MAP, ""))}
        if self.reader == "students":
            told = (ROOT / release.READMES["students"]).read_text(encoding="utf-8")
            told = told.replace("{data}", release.about_data({}))
            shown = [text for title, text in sections.items() if title == "Results"]
            shown = [*re.split(r"^(?=## )", told, flags=re.MULTILINE)[1:], *shown]
        else:
            shown = [text for title, text in sections.items() if title != MAP]
        words = _words(self, "")
        body = f'<div class="cell">{words.html(before)}</div>'
        body += self.environment.get_template("live.html.j2").render(page=EXPLORE, title=self.live)
        cards = [self._card(path, words, questions.get(path, "")) for path in self.books]
        body += words.html(f"## {MAP}") + f'<ul class="cards">{"".join(cards)}</ul>'
        body += f'<div class="cell">{words.html("".join(shown))}</div>'
        return {"title": words.title, "body": body, "contents": words.contents}

    def _card(self, path, words, question):
        book = self.books[path]
        first = book.cells[0].source if book.cells else ""
        cover = re.search(r"!\[(.*?)\]\((.+?)\)", first, re.DOTALL)
        picture = ""
        if cover:
            content = self.read(posixpath.dirname(path), cover[2])
            picture = self.picture(content, posixpath.basename(cover[2]), "")
        minutes = book.metadata.get("course", {}).get("minutes")
        return self.environment.get_template("card.html.j2").render(
            page=self.pages[path],
            picture=picture,
            title=_title(first) or Path(path).stem,
            question=words.html(question),
            minutes=minutes,
        )

    def _page(self, path, parts):
        order = list(self.books)
        place = order.index(path) if path in order else None
        near = {}
        if place is not None:
            near["before"] = order[place - 1] if place else "README.md"
            near["after"] = order[place + 1] if place + 1 < len(order) else None
        link = {each: (self.pages[each], parts[each]["title"]) for each in parts}
        return self.environment.get_template("page.html.j2").render(
            **parts[path],
            page=self.pages[path],
            course=link.get("README.md", ("index.html", "Course"))[1],
            notebooks=[link[each] for each in order],
            live=(EXPLORE, self.live),
            documents=[link[each] for each in self.documents if each != "README.md"],
            near={side: link[each] for side, each in near.items() if each in link},
            is_notebook=place is not None,
        )

    # --- what a page shows and links

    def link(self, folder, url):
        """Return the address of a link, as a page of the site has it, or None for plain text.

        Raises
        ------
        UsageError
            If there is no such file.
        """
        if urlsplit(url).scheme or url.startswith("#"):
            return url
        name, _, fragment = url.partition("#")
        path = posixpath.normpath(posixpath.join(folder, name))
        if path in self.pages:
            return self.pages[path] + (f"#{fragment}" if fragment else "")
        content = self.read(folder, name)
        if path.endswith((".ipynb", ".md")):  # they are not for this reader
            return None
        copy = f"files/{path.replace('/', '_')}.txt"  # a browser shows it, and asks nothing
        self.copies[copy] = content
        return copy

    def picture(self, content, name, alt):
        """Return the tag of a picture, with its size, so that nothing moves while it loads."""
        self.copies[f"figures/{name}"] = content
        size = ""
        if content.startswith(b"\x89PNG"):
            size = ' width="{}" height="{}"'.format(*struct.unpack(">II", content[16:24]))
        alt = html.escape(" ".join(alt.split()))
        return f'<img src="figures/{name}" alt="{alt}"{size}>'

    def figure(self, content, name, alt):
        """Return the tag of a picture that leads to itself: there it is larger."""
        picture = self.picture(content, name, alt)
        return f'<a class="larger" href="figures/{name}">{picture}</a>'

    def read(self, folder, name):
        """Return the bytes of a file that a text links or shows."""
        path = posixpath.normpath(posixpath.join(folder, name))
        try:
            return (ROOT / path).read_bytes()
        except OSError:
            raise notebooks.UsageError(
                f"{folder or 'README.md'} links {name}: no such file"
            ) from None


class Sections(HTMLParser):
    """Cut a page at its headings, for the search: [anchor, heading, path, text] of each.

    Examples
    --------
    >>> reader = Sections("Title")
    >>> reader.feed('a <h2 id="b">B <span>must</span></h2> c <img alt="d">')
    >>> reader.found
    [['', 'Title', '', 'a '], ['b', 'B ', '', ' c  d ']]
    """

    def __init__(self, title):
        super().__init__()
        self.found, self.part = [["", title, "", ""]], 3

    def handle_starttag(self, tag, attrs):
        """Open a section, or read the alternative text of a picture."""
        attributes = dict(attrs)
        if tag in ("h2", "h3") and "id" in attributes:
            self.found.append([attributes["id"], "", attributes.get("data-path-of", ""), ""])
            self.part = 1
        elif tag == "span" and self.part == 1 and attributes.get("class") != "number":
            self.part = None  # the path, which stands beside the heading
        elif tag == "img":
            self.found[-1][3] += f" {attributes.get('alt', '')} "

    def handle_endtag(self, tag):
        """Close a heading."""
        if tag in ("h2", "h3"):
            self.part = 3

    def handle_data(self, data):
        """Read a text, but for what is no text."""
        if self.part and self.cdata_elem is None:
            self.found[-1][self.part] += data


def _searchable(page, title, body):
    """Return [page, title, [[anchor, heading, path, text], …]] of a page."""
    reader = Sections(title)
    reader.feed(body)
    sections = [[" ".join(text.split()) for text in section] for section in reader.found]
    return [page, title, sections]


def _inside(path):
    return path.relative_to(notebooks.FOLDER.parent).as_posix()


def _title(source):
    """Return the title of a document: its first heading."""
    found = re.search(r"^# +(.+)$", source, re.MULTILINE)
    return found[1].strip() if found else ""


def _students_book(book, name):
    """Return a notebook as students read it: without solutions, with what its cells show."""
    outputs = {cell.id: cell.outputs for cell in notebooks.code_cells(book)}
    copy = editions.students_copy(book, name)
    for cell in notebooks.code_cells(copy):
        # a check speaks about the solution, and a stub has no output
        if not editions.is_answer(cell) and "check(" not in cell.source:
            cell.outputs = outputs[cell.id]
    return copy


# --- cells


def _exporter(site, words):
    from nbconvert import HTMLExporter

    def said(text):
        """Yield (whether it is a claim, lines) for what a cell printed, in order."""
        lines = text.rstrip("\n").split("\n")
        kept = []
        for line in lines:
            if CLAIM.match(line):
                if kept:
                    yield False, "\n".join(kept)
                kept = []
                yield True, line
            else:
                kept.append(line)
        if kept:
            yield False, "\n".join(kept)

    def picture(output):
        words.pictures += 1
        return site.figure(
            base64.b64decode(output.data["image/png"]),
            f"{words.name}_{words.pictures:02}.png",
            output.data.get("text/plain", ""),
        )

    def path(cell):
        return next((tag for tag in cell.metadata.get("tags", []) if PATH.search(f" · {tag}")), "")

    return HTMLExporter(
        template_name=TEMPLATE.name,
        template_file="notebook.html.j2",
        extra_template_basedirs=[str(TEMPLATE.parent)],
        # anything else is shown as text
        config={
            "NbConvertBase": {"display_data_priority": ["text/html", "image/png", "text/plain"]}
        },
        filters={
            "words": lambda source: words.html(source),
            "note": lambda source: words.html(source, listed=False),
            "said": said,
            "picture": picture,
            "table": _table,
            "path": path,
            "live": lambda cell: SHOWS.search(cell.source) and (EXPLORE, site.live),
            "folded": lambda cell: site.reader == "teachers" and editions.is_answer(cell),
        },
    )


def _table(source):
    """Return a table of pandas without the style that it brings for notebooks."""
    source = re.sub(r"<style scoped>.*?</style>", "", source, flags=re.DOTALL)
    source = re.sub(r' border="1"| style="text-align: right;"', "", source)
    return _scrolling(GRADIENT.sub(_readable, source))


def _readable(style):
    """Let the text of a coloured cell be black or white; pandas' choice is too pale at times.

    The ground decides by its relative luminance (WCAG 2): both have the same contrast at 0.18.
    """
    channels = [int(style[2][place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18
    return style[1] + ("#000000" if light else "#ffffff")


def _scrolling(source):
    """Put tables into boxes: a wide one scrolls there, and the page does not."""
    source = re.sub(r"(?=<table\b)", '<div class="table">', source)
    return source.replace("</table>", "</table></div>")


# --- text


def _words(site, folder, name=""):
    """Return what renders the texts of one page, and knows its headings afterwards."""
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Words(IPythonRenderer):
        def __init__(self):
            super().__init__(escape=False, exclude_anchor_links=True)
            self.name, self.pictures = name, 0
            self.title, self.contents, self.slugs, self.listed = "", [], [], True

        def html(self, source, listed=True):
            self.listed = listed
            return _scrolling(MarkdownWithMath(self).render(source))

        def heading(self, text, level, **attrs):
            found = PATH.search(text)
            path = found[1] if found else ""
            text = PATH.sub("", text)
            if level == 1 and not self.title:
                self.title = html.unescape(re.sub(r"<[^>]+>", "", text))
            slug = _slug(text)
            again = self.slugs.count(slug)
            self.slugs.append(slug)
            slug += f"-{again}" * bool(again)  # as GitHub counts them
            if level == 2 and self.listed:
                self.contents.append({"id": slug, "title": text, "path": path})
            label = f' <span class="path {path}">{path}</span>' if path else ""
            tagged = f' data-path-of="{path}"' if path else ""
            return f'<h{level} id="{slug}"{tagged}>{text}{label}</h{level}>\n'

        def paragraph(self, text):
            kind = "vote" if text.startswith("<strong>Predict") else ""
            kind = "about" if PATH.search(text) else kind  # "●●○ · 8 minutes · must"
            text = (
                PATH.sub(r' · <span class="path \1">\1</span>', text) if kind == "about" else text
            )
            return f'<p class="{kind}">{text}</p>\n' if kind else super().paragraph(text)

        def link(self, text, url, title=None):
            address = site.link(folder, url)
            return text if address is None else f'<a href="{html.escape(address)}">{text}</a>'

        def image(self, text, url, title=None):
            content = site.read(folder, url)
            return site.figure(content, posixpath.basename(url), html.unescape(text))

        def inline_math(self, body):
            if body != body.strip():  # "from 5 $ to 6 $": two prices
                return html.escape(f"${body}$")
            return formula(body)

        def block_math(self, body):
            return f'<span class="formula">{formula(body, "block")}</span>'

        def latex_environment(self, name, body):
            return self.block_math(f"\\begin{{{name}}}{body}\\end{{{name}}}")

    return Words()


def _slug(heading):
    """Return the anchor of a heading, as GitHub makes it.

    Examples
    --------
    >>> _slug("1. What <em>is</em> it?")
    '1-what-is-it'
    """
    words = re.sub(r"[^\w\- ]", "", html.unescape(re.sub(r"<[^>]+>", "", heading)))
    return words.strip().lower().replace(" ", "-")


def formula(tex, display="inline"):
    r"""Return a formula as MathML, which browsers draw without a library.

    Parameters
    ----------
    tex : str
        LaTeX, without its dollar signs.
    display : {"inline", "block"}

    Raises
    ------
    UsageError
        If a command of the formula has no MathML here.

    Examples
    --------
    >>> formula(r"p_i \le 1")
    '<math ... display="inline" alttext="p_i \\le 1"><mrow><msub><mi>p</mi><mi>i</mi></msub>...'
    """
    from latex2mathml.converter import convert

    tex = " ".join(tex.split())
    try:
        made = convert(tex, display=display)
    except Exception as error:  # its own have no class in common
        raise notebooks.UsageError(f"a formula cannot be read: {tex} ({error!r})") from error
    if "\\" in made:  # an unknown command stays as it was
        raise notebooks.UsageError(f"a formula has a command that is not known: {tex}")
    made = LETTERS.sub(lambda word: f"<mi>{re.sub('<[^>]+>', '', word[0])}</mi>", made)
    made = OPERATOR.sub(r'\1<mspace width="0.17em"></mspace>', made)
    return made.replace(">", f' alttext="{html.escape(tex)}">', 1)
