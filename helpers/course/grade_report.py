"""What `grade` writes: tables, a page for each student, and one for the instructor."""

from __future__ import annotations

import collections
import csv
import html
import io
import json
import random
import re
import zipfile

from helpers.course import grade_collect, notebooks, notes

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}table{border-collapse:collapse}td,th{padding:.25rem .75rem;
border-bottom:1px solid #ccc;text-align:left;vertical-align:top}td.n{text-align:right}
pre{white-space:pre-wrap;background:#f4f4f4;padding:.75rem;border-left:4px solid #888}
.right pre{border-color:#029e73}.wrong pre{border-color:#d55e00}
.bar{display:inline-block;height:1rem;background:#0173b2;min-width:1px}
.warn{background:#fff3cd;padding:.75rem}h2{margin-top:2rem}"""
BAR = '<span class="bar" style="width:{:.2f}rem"></span>'
STATES = ("right", "wrong", "stopped", "not answered", "missing")
NO_ISOLATION = (
    "Graded without isolation: students' code ran with the rights of the person who graded."
)


def page(title, body):
    """Return a page; `body` is escaped already.

    Examples
    --------
    >>> "<title>a &lt; b</title>" in page("a < b", "")
    True
    """
    title = html.escape(title)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{title}</title><style>{STYLE}</style><h1>{title}</h1>{body}</html>\n"
    )


def write(out, submissions, entries, *, isolated, partial=False, worksheet=None, seed=0):
    """Write all reports into a folder.

    Parameters
    ----------
    out : Path
    submissions : list of Submission
    entries : list of Entry
        With their verdicts.
    isolated : bool
    partial : bool
    worksheet : Path, optional
    """
    _credit(entries, partial)
    of = {one.name: [entry for entry in entries if entry.submission is one] for one in submissions}
    files = file_names(list(of))
    table = tabulate(submissions, of)
    _write_tables(out, table)
    (out / "report").mkdir(exist_ok=True)
    pages = {one.name: student_page(one, of[one.name], isolated) for one in submissions}
    for name, text in pages.items():
        (out / "report" / f"{files[name]}.html").write_text(text, encoding="utf-8")
    text = summary(submissions, of, files, isolated)
    (out / "summary.html").write_text(text, encoding="utf-8")
    write_open(out, submissions, entries, seed)
    write_moodle(out, submissions, of, pages, worksheet)


def _write_tables(out, table):
    safe = table.rename(index=no_formula)
    safe["status"] = safe["status"].map(no_formula)
    safe.to_csv(out / "grades.csv", encoding="utf-8")
    safe.to_csv(out / "grades-fr.csv", sep=";", decimal=",", encoding="utf-8-sig")


def _points(entries, what="points"):
    return sum(getattr(v, what) for entry in entries for v in entry.verdicts.values())


def _credit(entries, partial):
    if not partial:
        return
    for entry in entries:
        for verdict in entry.verdicts.values():
            if verdict.state == "wrong":
                # quarters of a point, rounded down
                verdict.points = int(4 * verdict.most * verdict.share) / 4


def tabulate(submissions, of):
    """Return one row a student, one column an exercise, the total, and the status."""
    import pandas as pd

    rows = {}
    for one in submissions:
        verdicts = {}
        for entry in of[one.name]:
            verdicts |= entry.verdicts
        points = {name: verdict.points for name, verdict in verdicts.items()}
        said = status(one, of[one.name])
        people = _people(one)
        for person in people:
            others = [each for each in people if each != person]
            together = f"; with {', '.join(others)}" if others else ""
            # one who stands on two submissions gets two rows, and a person decides
            name = person if person not in rows else f"{person} (in {one.name})"
            rows[name] = {**points, "total": sum(points.values()), "status": said + together}
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "student"
    exercises = sorted(set(table.columns) - {"total", "status"})
    # halves look like wholes: 2.0 beside 1.5
    numbers = dict.fromkeys([*exercises, "total"], float)
    return table[[*exercises, "total", "status"]].astype(numbers)


def _people(one):
    return one.people if len(one.people) > 1 else [one.name]


def status(one, entries):
    """Say in a few words what a person should know of a submission."""
    verdicts = [verdict for entry in entries for verdict in entry.verdicts.values()]
    found = any(entry.sources for entry in entries)
    if not found:
        why = "; ".join(one.remarks) or "no answer cell was found"
        return f"nothing to grade: {why}"
    if any(verdict.state == "stopped" for verdict in verdicts):
        return "graded; some code was stopped"
    if one.remarks or any(map(_for_eyes, entries)):
        return "graded; see the remarks"
    return "graded"


def no_formula(text):
    """Keep a spreadsheet from taking a text for a formula.

    Examples
    --------
    >>> no_formula("=cmd()"), no_formula("Ana")
    ("'=cmd()", 'Ana')
    """
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def file_names(names):
    """Return a file name for each student, without what a file system or an address would mind.

    Examples
    --------
    >>> file_names(["../x", "x", "Zoë A."])
    {'../x': 'x', 'x': 'x-2', 'Zoë A.': 'Zoë A'}
    """
    taken, files = set(), {}
    for name in names:
        base = re.sub(r"[^\w \-.]", "", name).strip(" .")[:80] or "student"
        file, number = base, 1
        while file.casefold() in taken:
            number += 1
            file = f"{base}-{number}"
        taken.add(file.casefold())
        files[name] = file
    return files


def student_page(one, entries, isolated):
    """Return a student's page: each exercise, its points and its message."""
    points, most = _points(entries), _points(entries, "most")
    parts = [_warning(isolated), f"<p><b>{points:g} of {most:g} points</b></p>"]
    for entry in entries:
        parts.append(f"<h2>{html.escape(entry.reference.path.stem)}</h2>")
        for name, verdict in entry.verdicts.items():
            kind = "right" if verdict.state == "right" else "wrong"
            message = verdict.message
            if kind == "right":
                message = f"{message}\n  The public checks passed, and so did other inputs."
            if verdict.given:
                message = f"{message}\n  Input: {verdict.given}"
            parts.append(
                f'<div class="{kind}"><h3>{name}: {verdict.points:g} of {verdict.most:g}</h3>'
                f"<pre>{html.escape(message)}</pre></div>"
            )
    if remarks := [*one.remarks, *(remark for entry in entries for remark in entry.remarks)]:
        parts.append(f"<h2>Noticed in the notebook</h2>{_table([[each] for each in remarks])}")
    return page(one.name, "".join(parts))


def summary(submissions, of, files, isolated):
    """Return the instructor's page."""
    entries = [entry for each in of.values() for entry in each]
    parts = [_warning(isolated), f"<p>{len(submissions)} students.</p>", "<h2>Exercises</h2>"]
    by_exercise = collections.defaultdict(list)
    for entry in entries:
        for name, verdict in entry.verdicts.items():
            by_exercise[name].append((entry, verdict))
    for name, found in sorted(by_exercise.items()):
        states = collections.Counter(verdict.state for _, verdict in found)
        points = collections.Counter((verdict.points, verdict.most) for _, verdict in found)
        said = collections.defaultdict(list)
        for entry, verdict in found:
            if verdict.state in ("wrong", "stopped"):
                said[_advice(verdict.message)].append(entry.submission.name)
        commonest = sorted(said.items(), key=lambda item: -len(item[1]))[:8]
        parts += [
            f"<h3>{name}</h3><p>",
            ", ".join(f"{states[state]} {state}" for state in STATES if states[state]),
            "</p>",
            _table(
                (f"{earned:g} of {most:g}", number, Html(BAR.format(30 * number / len(found))))
                for (earned, most), number in sorted(points.items(), reverse=True)
            ),
        ]
        if commonest:
            rows = ((len(names), text, _some(names)) for text, names in commonest)
            parts.append(f"<p>Wrong answers, the commonest first:</p>{_table(rows)}")
    parts += [_alike(entries), _for_a_person(submissions, of), "<h2>Students</h2>"]
    link = '<a href="report/{}.html">{}</a>'
    parts.append(
        _table(
            (
                Html(link.format(*map(html.escape, (files[one.name], one.name)))),
                _points(of[one.name]),
                status(one, of[one.name]),
            )
            for one in submissions
        )
    )
    return page("Summary", "".join(parts))


class Html(str):
    """A text that is escaped already."""


def _table(rows):
    def cell(value):
        if isinstance(value, int | float):
            return f"<td class=n>{value:g}</td>"
        return f"<td>{value if isinstance(value, Html) else html.escape(value)}</td>"

    rows = "".join(f"<tr>{''.join(map(cell, row))}</tr>" for row in rows)
    return f"<table>{rows}</table>"


def _warning(isolated):
    return "" if isolated else f'<p class="warn">{NO_ISOLATION}</p>'


def _advice(message):
    """Return what wrong answers of one kind have in common: the advice, or else the first line."""
    return message.strip().splitlines()[-1].strip()


def _some(names, most=5):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _alike(entries):
    """List identical answers that are wrong, and long enough not to be chance."""
    same = collections.defaultdict(list)
    for entry in entries:
        for name, source in entry.sources.items():
            code = re.sub(r"#.*|\s+", "", source)
            if entry.verdicts[name].state == "wrong" and len(code) > 80:
                same[name, code].append(entry.submission.name)
    rows = [(name, ", ".join(who)) for (name, _), who in sorted(same.items()) if 1 < len(who) <= 4]
    if not rows:
        return ""
    return (
        "<h2>The same unusual answer</h2><p>Wrong, and equal but for spaces and comments, in two "
        f"to four submissions. It proves nothing, and costs nobody points.</p>{_table(rows)}"
    )


def _for_eyes(entry):
    return [each for each in entry.remarks if not each.startswith(grade_collect.OWN_CELLS)]


def _for_a_person(submissions, of):
    rows = []
    for one in submissions:
        remarks = list(one.remarks)
        for entry in of[one.name]:
            remarks += _for_eyes(entry) if entry.sources else []
            for name, verdict in entry.verdicts.items():
                if verdict.state == "stopped" or verdict.note:
                    remarks.append(f"{name}: {verdict.state}. {verdict.note or verdict.message}")
        if remarks:
            rows.append((one.name, Html("<br>".join(map(html.escape, remarks)))))
    return f"<h2>What needs a person's eye</h2>{_table(rows)}" if rows else ""


# --- Moodle


def write_moodle(out, submissions, of, pages, worksheet):
    """Write the zip of feedback files and, if there is one, the worksheet with grades.

    The worksheet's headers are in the site's language, so columns are found by what is in them: the
    first one identifies a submission and comes back unchanged, and the grade stands before the
    only column that is one number from top to bottom, the maximum.
    """
    known = [one for one in submissions if one.moodle]
    if known:
        with zipfile.ZipFile(out / "feedback.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for one in known:
                # no folder but the one that Moodle named
                folder = re.sub(r"[\\/]", "", f"{one.name}_{one.moodle}_assignsubmission_file_")
                archive.writestr(f"{folder}/feedback.html", pages[one.name])
    if worksheet is None:
        return
    text = worksheet.read_text(encoding="utf-8-sig")
    separator = max(",;\t", key=text.partition("\n")[0].count)
    head, *rows = csv.reader(io.StringIO(text), delimiter=separator)
    grade = _grade_column(rows)
    if grade is None:
        raise notebooks.UsageError(f"{worksheet} has no column with one maximum for all")
    decimal = "," if "," in rows[0][grade + 1] else "."
    by_number = {one.moodle: one for one in known}
    by_name = {name: one for one in submissions for name in [one.name, *one.people]}
    unknown = []
    for row in rows:
        number = re.search(r"(\d+)\s*$", row[0])
        one = by_number.get(number[1] if number else "") or by_name.get(row[1])
        if one is None:
            unknown.append(row[1])
            continue
        share = _points(of[one.name]) / (_points(of[one.name], "most") or 1)
        most = float(row[grade + 1].replace(",", "."))
        row[grade] = f"{share * most:.2f}".replace(".", decimal)
    with open(out / "moodle.csv", "w", encoding="utf-8-sig", newline="") as file:
        csv.writer(file, delimiter=separator).writerows([head, *rows])
    if unknown:
        print(f"! in Moodle's worksheet, without a submission: {', '.join(unknown)}")


def _grade_column(rows):
    def number(text):
        return re.fullmatch(r"\d+([.,]\d+)?", text.strip())

    for place in range(2, len(rows[0]) - 1 if rows else 0):
        left, right = ([row[place + shift] for row in rows] for shift in (0, 1))
        if len(set(right)) == 1 and number(right[0]) and all(not t or number(t) for t in left):
            return place
    return None


# --- open questions


SCRIPT = """<script>function save(){let t='code,points\\n';
for(const i of document.querySelectorAll('input'))t+=i.name+','+i.value.replace(',','.')+'\\n';
const a=document.createElement('a');a.href='data:text/csv,'+encodeURIComponent(t);
a.download='open.csv';a.click()}</script><p><button onclick="save()">Save open.csv</button></p>"""


def write_open(out, submissions, entries, seed):
    """Put all answers to open questions on one page, without names and in a drawn order.

    `collect_open` knows from a file beside the results whose they are.
    """
    found = [(number, one) for one in submissions for number in one.opened]
    if not found:
        return
    random.Random(seed).shuffle(found)
    coded = {f"A{place:03}": each for place, each in enumerate(found, 1)}
    owners = {code: (number, _people(one)) for code, (number, one) in coded.items()}
    (out / ".grade" / "open.json").write_text(json.dumps(owners), encoding="utf-8")
    parts = []
    for reference in {entry.reference.number: entry.reference for entry in entries}.values():
        answers = {code: one for code, (number, one) in coded.items() if number == reference.number}
        if not answers:
            continue
        parts.append(f"<h2>{html.escape(reference.path.stem)}</h2>")
        for cell in reference.notebook.cells:
            if "rubric" in cell.get("id", ""):
                parts.append(notes.render(cell.source))  # the course's words; students' are escaped
        for code, one in answers.items():
            parts.append(
                f"<h3>{code}</h3><pre>{html.escape(one.opened[reference.number])}</pre>"
                f'<label>Points <input name="{code}" size="4"></label>'
            )
    text = page("Open questions", "".join([*parts, SCRIPT]))
    (out / "open.html").write_text(text, encoding="utf-8")


def collect_open(out):
    """Read the points of open questions from ``open.csv`` and add them to both tables."""
    import pandas as pd

    try:
        owners = json.loads((out / ".grade" / "open.json").read_text(encoding="utf-8"))
        given = pd.read_csv(out / "open.csv", index_col="code")["points"].dropna()
        table = pd.read_csv(out / "grades.csv", index_col="student", keep_default_na=False)
    except (OSError, KeyError, ValueError) as error:
        raise notebooks.UsageError(
            f"{out} must hold grades.csv and open.csv, which open.html saves: {error}"
        ) from None
    unknown = sorted(set(given.index) - set(owners))
    if unknown:
        raise notebooks.UsageError(f"open.csv has codes that open.html has not: {unknown}")
    for code, points in given.items():
        number, people = owners[code]
        column = f"{number}-open"
        if column not in table:
            table.insert(table.columns.get_loc("total"), column, 0.0)
        for person in map(no_formula, people):
            table.loc[person, "total"] += float(points) - table.loc[person, column]
            table.loc[person, column] = float(points)
    _write_tables(out, table)
    print(f"{len(given)} of {len(owners)} answers to open questions have points: {out}")
