"""The presenter's page: votes with their answers, a clock that adds up, and nothing to download."""

import re

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.course import notebooks, notes


def text(source, *tags, minutes=None):
    course = {"course": {"minutes": minutes}} if minutes is not None else {}
    return new_markdown_cell(source, metadata={"tags": list(tags or ["must"]), **course})


def code(*tags, exercise=None, minutes=None):
    course = {"course": {"exercise": exercise, "minutes": minutes}} if exercise else {}
    return new_code_cell("1", metadata={"tags": list(tags or ["must"]), **course})


def book(*cells, minutes=60):
    metadata = {"course": {"minutes": minutes}} if minutes else {}
    return new_notebook(cells=[text("# 01 · A title\n\nmore"), *cells], metadata=metadata)


def plain(notebook):
    """The words of a page, without its tags."""
    page = notes.page(notebook, "01_a").split("<body>")[1]
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize(
    "answer",
    [
        "The answer is **B**. It is that.",
        "**Answer: B.** It is that.",
        "**Answer: B**, it is that.",
        "**B.** It is that.",
        "A line before.\n**Answer: B.** It is that.",
        "<details><summary>**Answer**</summary>\n\nThe answer is **B**: it is that.\n\n</details>",
    ],
)
def test_a_vote_stands_with_its_options_and_its_answer(answer):
    found = plain(
        book(
            text("## 1. One"),
            text("**Predict.** Which one?\n\n- **A** this\n- **B** that\n\nNot shown."),
            code(),
            text(f"{answer}\n\nIts reason.\n\n### Exercise 01-1: Not a reason\n\nWrite it."),
        )
    )
    assert "Predict. Which one? A this B that" in found
    assert re.search(r"B\W+[Ii]t is that\. Its reason\. +Exercise 01-1", found)
    assert not any(
        word in found for word in ("Not shown", "A line before", "The answer <", "Write")
    )


def test_a_vote_without_an_answer_says_so():
    found = plain(book(text("## 1. One\n\n**Predict.** Which?\n\n- **A** a\n- **B** b"), code()))
    assert "The notebook marks no answer" in found


def test_an_answer_belongs_to_the_vote_before_it():
    first, second = "**Predict.** One?\n\n- **A** a", "**Predict.** Two?\n\n- **A** a"
    page = book(
        text("## 1. One"), text(first), text("**A.** yes one\n\n" + second), text("**A.** two")
    )
    items = notes.sections(page)[1].items
    assert [(item.text[:17], item.answer) for item in items] == [
        ("**Predict.** One?", "**A.** yes one"),
        ("**Predict.** Two?", "**A.** two"),
    ]


# --- the clock


def clock(notebook):
    before, *found = notes.sections(notebook)
    exact = notes.set_clock(before, found, notebook.metadata.get("course", {}).get("minutes"))
    return exact, [(section.begins, section.minutes) for section in found]


CELLS = (
    text("## 1. One"),
    code(),
    text("## 2. Two", "should"),
    code("should"),
    text("## 3. Three"),
    *(code(), code(), code(exercise="01-1", minutes=10)),
    text("## What we found\n\nThis.\n\n## What to read next\n\nThat."),
)


def test_minutes_of_the_headings_run_the_clock():
    cells = [text(c.source, *c.metadata.tags, minutes=20) if "##" in c.source else c for c in CELLS]
    assert clock(book(*cells)) == (True, [(0, 20), (None, None), (20, 20), (40, 20)])


def test_a_plan_with_a_part_for_each_section_runs_the_clock():
    plan = text("**For you.** Plan: one 5 minutes, three 45, closing 10.", "must", "instructor")
    notebook = book(plan, *CELLS)
    assert clock(notebook) == (True, [(0, 5), (None, None), (5, 45), (50, 10)])
    found = plain(notebook)
    assert "0:00 1. One 5 min" in found and "0:50 What we found 10 min" in found
    assert "≈" not in found and "What to read next" not in found


@pytest.mark.parametrize(
    "plan",
    [
        "Plan: one 5 minutes, closing 5.",
        "Plan: as you like.",
        "Plan: one 5 minutes, three 65, closing 10.",  # 80 of 60 minutes
    ],
)
def test_without_minutes_the_clock_is_an_estimate_and_says_so(plan):
    notebook = book(text(plan, "must", "instructor"), *CELLS)
    # 60 minutes less 10 for the exercise are 10 for each of five cells, the closing words too
    assert clock(notebook) == (False, [(0, 10), (None, None), (10, 40), (50, 10)])
    found = plain(notebook)
    assert "The clock is an estimate (≈)" in found and "≈ 0:10 3. Three ≈ 40 min" in found


def test_a_notebook_that_states_no_minutes_has_a_page_without_a_clock():
    assert clock(book(*CELLS, minutes=None))[1] == [(None, None)] * 4
    assert "0:00" not in plain(book(*CELLS, minutes=None))


# --- what else is on it


def test_what_to_skip_is_named():
    more = code("extra"), text("## 4. Four", "extra"), code("extra")
    found = plain(book(*CELLS[:-1], *more, CELLS[-1]))
    assert "2. Two should: skip, or at the end" in found
    assert "4. Four extra: skip, or at the end" in found
    assert "min skip 1 extra cell" in found


def test_exercises_have_minutes_and_open_questions_are_named():
    found = plain(
        book(
            text("## 1. One\n\n### Exercise 01-1: Count it\n\nWrite `count`.", "should"),
            code("should", exercise="01-1", minutes=8),
            text("### Open question: What if?"),
        )
    )
    assert "Exercise 01-1 Count it (8 minutes, should )" in found
    assert "Open question What if?" in found


def test_notes_are_rendered_where_they_stand():
    table = "Say **this**.\n\n| a | b |\n|---|---|\n| c | d |"
    notebook = book(text("## 1. One"), code(), text(table, "must", "instructor"))
    page = notes.page(notebook, "01_a")
    assert "<strong>this</strong>" in page and "<td>c</td>" in page
    assert page.index("1. One") < page.index("<strong>this</strong>")


def test_formulas_are_pictures_and_what_cannot_be_drawn_is_shown_as_it_is_written():
    drawn = notes.render(r"so $p_i \Bigl(z\Bigr)$ and $$\sum_j e^{z_j}$$")
    assert drawn.count('src="data:image/svg+xml;base64,') == 2
    assert r'alt="p_i \Bigl(z\Bigr)"' in drawn and "$" not in drawn
    assert r"<code>\begin{cases} 1 &lt; 2</code>" in notes.render(r"$\begin{cases} 1 < 2$")


@pytest.mark.parametrize("path", notebooks.find(everything=True), ids=lambda path: path.stem)
def test_the_pages_of_the_course_need_no_other_file_and_no_network(path):
    notebook = notebooks.read(path)
    page = notes.page(notebook, path.stem)
    assert not re.findall(r'(?:src|<link[^>]* href)="(?!data:)', page)
    assert "@import" not in page and "url(" not in page
    assert not re.search(r"\$[$\w\\]", page)  # "100,000 $" is no formula
    votes = [
        item for part in notes.sections(notebook) for item in part.items if item.kind == "vote"
    ]
    texts = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    asked = [text for text in "\n\n".join(texts).split("\n\n") if notes.VOTE.match(text)]
    assert len(votes) == len(asked)
    assert [vote.text for vote in votes if not vote.answer] == []
    for vote in votes:
        options = [line for line in vote.text.splitlines() if notes.OPTION.match(line)]
        assert len(options) >= 2, vote.text
    for cell in notebook.cells:
        if "instructor" in notebooks.tags(cell) and cell.cell_type == "markdown":
            assert notes.render(cell.source) in page
