"""The presenter's notes of a notebook, one page to print: a clock, votes, what to say and skip."""

from __future__ import annotations

import base64
import html
import io
import re
import string
from dataclasses import dataclass, field
from pathlib import Path

from helpers.course import notebooks

TEMPLATE = Path(__file__).with_name("notes.html")
PATHS = ("must", "should", "extra")

# "## 2. A title · must": the page shows the path in its own way
HEADING = re.compile(r"^## +(.+?)(?: · (?:must|should|extra))?$", re.MULTILINE)
EXERCISE = re.compile(r"^### (?:Exercise (\d\d-\d+)|(Open question)): *(.+)$")
VOTE = re.compile(r"^\*\*Predict\b")
OPTION = re.compile(r"^- \*\*[A-Z]\b")
# a line that opens with "The answer is **B**", "**Answer: B**" or "**B.**"
ANSWER = re.compile(
    r"^(?:The answer is \*\*|\*\*Answer:? *(?:\*\*)? *|\*\*(?=[A-Z]\.\*\*))[A-Z]\b", re.MULTILINE
)
# "Plan: data 5 minutes, network and count 20, closing 15."
PLAN = re.compile(r"\bPlan: ([^.]+)\.")
PART = re.compile(r"(.+?) (\d+)(?: minutes?)?")


@dataclass
class Item:
    """One thing of a section, in the order of the notebook.

    Attributes
    ----------
    kind : {"vote", "exercise", "note"}
    text : str, Markdown
    answer : str, Markdown, or ""
        Of a vote.
    """

    kind: str
    text: str
    answer: str = ""


@dataclass
class Section:
    """A part of a notebook below one heading.

    Attributes
    ----------
    title : str
    path : {"must", "should", "extra"}
    minutes, begins : int or None
        Only the sections of the must path have a place on the clock.
    cells : dict
        Path -> number of code cells.
    """

    title: str
    path: str
    minutes: int | None = None
    begins: int | None = None
    cells: dict = field(default_factory=lambda: dict.fromkeys(PATHS, 0))
    exercise_minutes: int = 0  # on the must path
    inside: bool = False  # its heading is not the first of its cell
    items: list[Item] = field(default_factory=list)


def page(notebook, name):
    """Return the page of a notebook.

    Parameters
    ----------
    notebook : notebook node
    name : str
        For example ``"01_train_cnn"``.

    Returns
    -------
    str
        A whole HTML document, which needs no other file and no network.
    """
    before, *found = sections(notebook)
    total = notebook.metadata.get("course", {}).get("minutes")
    exact = set_clock(before, found, total)
    first = notebook.cells[0].source.partition("\n")[0] if notebook.cells else ""
    values = {
        "title": html.escape(first.lstrip("# ") or name),
        "length": f"{total} minutes for the must path." if total else "",
        "estimated": "" if exact or not total else "The clock is an estimate (≈).",
        "before": "".join(map(_item, before.items)),
        "clock": "".join(_row(section, exact) for section in found),
        "sections": "".join(_section(s, exact) for s in found if s.items),
    }
    return string.Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values)


def sections(notebook):
    """Cut a notebook at its headings.

    Returns
    -------
    list of Section
        The first holds what stands before the first heading.
    """
    minutes = {}
    for cell in notebooks.code_cells(notebook):
        about = cell.metadata.get("course", {})
        minutes[about.get("exercise")] = about.get("minutes")
    found = [Section("Before the start", "must")]
    for cell in notebook.cells:
        path = next((path for path in PATHS if path in notebooks.tags(cell)), "must")
        if cell.cell_type == "code":
            found[-1].cells[path] += 1
            if path == "must":
                found[-1].exercise_minutes += cell.metadata.get("course", {}).get("minutes", 0)
        elif "instructor" in notebooks.tags(cell):
            found[-1].items.append(Item("note", cell.source))
        elif cell.cell_type == "markdown":
            text, *below = HEADING.split(cell.source)
            _collect(text, path, minutes, found)
            for title, text in zip(below[::2], below[1::2], strict=True):
                stated = cell.metadata.get("course", {}).get("minutes")
                inside = title != below[0]
                found.append(Section(title, path, minutes=stated, inside=inside))
                _collect(text, path, minutes, found)
    # "What to read next", below "What we found"
    return [s for s in found if s.items or sum(s.cells.values()) or not s.inside]


def _collect(text, path, minutes, found):
    """Add the votes and exercises of a text to the last section; answer the last open vote."""
    items = found[-1].items
    answering = None
    # <summary> is what one clicks on
    text = re.sub(r"<summary>.*?</summary>|</?details.*?>", "", text, flags=re.DOTALL)
    for paragraph in re.split(r"\n\s*\n", text.strip()):
        if exercise := EXERCISE.match(paragraph):
            name, _, title = exercise.groups()
            what = f"Exercise {name}" if name else "Open question"
            length = minutes.get(name) if name else None
            about = ", ".join(filter(None, [f"{length} minutes" if length else "", _aside(path)]))
            items.append(Item("exercise", f"**{what}** {title}" + (about and f" ({about})")))
            answering = None
        elif VOTE.match(paragraph):
            items.append(Item("vote", paragraph))
            answering = None
        elif OPTION.match(paragraph) and items and items[-1].kind == "vote":
            options = [line for line in paragraph.splitlines() if OPTION.match(line)]
            items[-1].text += "\n\n" + "\n".join(options)
        elif answer := ANSWER.search(paragraph):
            votes = [item for section in found for item in section.items if item.kind == "vote"]
            if votes and not votes[-1].answer:
                answering = votes[-1]
                answering.answer = paragraph[answer.start() :]
        elif answering:  # the rest of its cell explains it
            answering.answer += f"\n\n{paragraph}"


def _aside(path):
    return "" if path == "must" else f"*{path}*"


def set_clock(before, found, total):
    """Give each section of the must path its minutes, and the minute at which it begins.

    They are stated in the metadata of each heading's cell (``{"course": {"minutes": 15}}``), or in
    the plan of an instructor's cell with one part for each section of the must path. Otherwise
    they are estimated: what the exercises leave is shared out among the code cells.

    Returns
    -------
    bool
        Whether they are stated.
    """
    on_clock = [section for section in found if section.path == "must"]
    for section in found:
        section.minutes = section.minutes if section.path == "must" else None
    stated = [section.minutes for section in on_clock]
    plan = next(filter(None, (_plan(item.text) for item in before.items)), [])
    if None in stated and len(plan) == len(on_clock):
        stated = plan
    agrees = not stated or not total or None in stated or sum(stated) == total
    if exact := None not in stated and agrees:
        ends = [sum(stated[: place + 1]) for place in range(len(stated))]
    elif total:
        # a section without code takes about as long as a cell: somebody reads it out
        cells = [max(1, section.cells["must"]) for section in on_clock]
        exercises = [section.exercise_minutes for section in on_clock]
        rest = max(0, total - sum(exercises)) / sum(cells)
        ends = [
            round(sum(exercises[: place + 1]) + rest * sum(cells[: place + 1]))
            for place in range(len(cells))
        ]
    else:
        return False
    for section, begin, end in zip(on_clock, [0, *ends], ends, strict=False):
        section.begins, section.minutes = begin, end - begin
    return exact


def _plan(text):
    """Return the minutes of a plan, or [] if there is none or it cannot be read."""
    plan = PLAN.search(text)
    parts = [PART.fullmatch(part.strip()) for part in plan[1].split(",")] if plan else []
    return [int(part[2]) for part in parts] if all(parts) else []


# --- as HTML


def _row(section, exact):
    """Return a section's row of the table with the clock."""
    kinds = [item.kind for item in section.items]
    inside = [
        f"{count} {path} cell{'s' * (count > 1)}"
        for path, count in section.cells.items()
        if count and path != section.path
    ]
    remarks = [
        "vote " * kinds.count("vote"),
        "" if section.path == "must" else f"{section.path}: skip, or at the end",
        f"skip {' and '.join(inside)}" if inside and section.path == "must" else "",
    ]
    cells = (
        _clock(section, exact),
        _title(section),
        _minutes(section, exact),
        "; ".join(remark.strip() for remark in remarks if remark),
    )
    columns = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr class="{section.path}">{columns}</tr>\n'


def _section(section, exact):
    when = " · ".join(filter(None, [_clock(section, exact), _minutes(section, exact)]))
    if section.path != "must":
        when = f"{section.path}: skip, or at the end"
    return (
        f'<section class="{section.path}"><h2><span>{when}</span>{_title(section)}</h2>\n'
        f"{''.join(map(_item, section.items))}</section>\n"
    )


def _title(section):
    # a number with a dot would open a list
    title = re.sub(r"^(\d+)\.", r"\1\\.", section.title)
    return render(title).strip().removeprefix("<p>").removesuffix("</p>")


def _clock(section, exact):
    if section.begins is None:
        return ""
    return f"{'' if exact else '≈ '}{section.begins // 60}:{section.begins % 60:02d}"


def _minutes(section, exact):
    return "" if section.minutes is None else f"{'' if exact else '≈ '}{section.minutes} min"


def _item(item):
    if item.kind != "vote":
        return f'<div class="{item.kind}">{render(item.text)}</div>\n'
    answer = item.answer or "The notebook marks no answer: it stands in the cells that follow."
    return (
        f'<div class="vote">{render(item.text)}<div class="answer">{render(answer)}</div></div>\n'
    )


def render(text):
    """Return Markdown as HTML, with formulas as pictures: MathJax would need the network.

    Examples
    --------
    >>> render("*must*").strip()
    '<p><em>must</em></p>'
    """
    from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath

    class Renderer(IPythonRenderer):
        def inline_math(self, body):
            return _formula(body)

        def block_math(self, body):
            return f'<p class="formula">{_formula(body)}</p>'

    return MarkdownWithMath(Renderer(escape=False, exclude_anchor_links=True)).render(text)


def _formula(tex):
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import math_to_image

    tex = " ".join(tex.split())
    drawable = re.sub(r"\\[bB]igg?[lr]?(?![A-Za-z])", "", tex)  # mathtext knows no sizes
    picture = io.BytesIO()
    try:
        depth = math_to_image(f"${drawable}$", picture, FontProperties(size=9.5), format="svg")
    except ValueError:  # more than mathtext can draw
        return f"<code>{html.escape(tex)}</code>"
    source = base64.b64encode(picture.getvalue()).decode()
    return (
        f'<img style="vertical-align:-{depth:.1f}pt" alt="{html.escape(tex)}" '
        f'src="data:image/svg+xml;base64,{source}">'
    )
