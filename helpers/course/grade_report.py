"""What `grade` writes: tables, a page for each student, and one for the instructor."""

from __future__ import annotations

import collections
import html
import re

from helpers.course import notebooks

STYLE = """body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;
color:#1a1a1a;background:#fff}table{border-collapse:collapse}td,th{padding:.25rem .75rem;
border-bottom:1px solid #ccc;text-align:left;vertical-align:top}td.n{text-align:right}
pre{white-space:pre-wrap;background:#f4f4f4;padding:.75rem;border-left:4px solid #888}
.right pre{border-color:#029e73}.wrong pre{border-color:#d55e00}
.bar{display:inline-block;height:1rem;background:#0173b2;min-width:1px}
.warn{background:#fff3cd;padding:.75rem}h2{margin-top:2rem}"""
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


def write(out, submissions, entries, *, isolated, partial=False, worksheet=None):
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
    safe = table.rename(index=no_formula)
    safe["status"] = safe["status"].map(no_formula)
    safe.to_csv(out / "grades.csv", encoding="utf-8")
    safe.to_csv(out / "grades-fr.csv", sep=";", decimal=",", encoding="utf-8-sig")
    (out / "report").mkdir(exist_ok=True)
    for one in submissions:
        text = student_page(one, of[one.name], isolated)
        (out / "report" / f"{files[one.name]}.html").write_text(text, encoding="utf-8")
    text = summary(submissions, of, table, files, isolated)
    (out / "summary.html").write_text(text, encoding="utf-8")


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
        points = {
            name: verdict.points
            for entry in of[one.name]
            for name, verdict in entry.verdicts.items()
        }
        rows[one.name] = {
            **points,
            "total": sum(points.values()),
            "status": status(one, of[one.name]),
        }
    table = pd.DataFrame.from_dict(rows, orient="index")
    table.index.name = "student"
    exercises = sorted(set(table.columns) - {"total", "status"})
    return table[[*exercises, "total", "status"]]


def status(one, entries):
    """Say in a few words what a person should know of a submission."""
    verdicts = [verdict for entry in entries for verdict in entry.verdicts.values()]
    found = any(entry.sources for entry in entries)
    if not found:
        why = "; ".join(one.remarks) or "no answer cell was found"
        return f"nothing to grade: {why}"
    if any(verdict.state == "stopped" for verdict in verdicts):
        return "graded; some code was stopped"
    if one.remarks or any(entry.remarks for entry in entries):
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
    parts = []
    if not isolated:
        parts.append(f'<p class="warn">{NO_ISOLATION}</p>')
    points = sum(v.points for entry in entries for v in entry.verdicts.values())
    most = sum(v.most for entry in entries for v in entry.verdicts.values())
    parts.append(f"<p><b>{points:g} of {most:g} points</b></p>")
    for entry in entries:
        parts.append(f"<h2>{html.escape(entry.reference.path.stem)}</h2>")
        for name, verdict in entry.verdicts.items():
            kind = "right" if verdict.state == "right" else "wrong"
            message = verdict.message
            if verdict.state == "right":
                message = f"{message}\n  The public checks passed, and so did other inputs."
            parts.append(
                f'<div class="{kind}"><h3>{name}: {verdict.points:g} of {verdict.most:g}</h3>'
                f"<pre>{html.escape(message)}</pre></div>"
            )
    remarks = [*one.remarks, *(remark for entry in entries for remark in entry.remarks)]
    if remarks:
        items = "".join(f"<li>{html.escape(remark)}</li>" for remark in remarks)
        parts.append(f"<h2>Noticed in the notebook</h2><ul>{items}</ul>")
    return page(one.name, "".join(parts))


def summary(submissions, of, table, files, isolated):
    """Return the instructor's page."""
    entries = [entry for each in of.values() for entry in each]
    parts = [f'<p class="warn">{NO_ISOLATION}</p>'] if not isolated else []
    parts.append(f"<p>{len(submissions)} students.</p>")
    by_exercise = collections.defaultdict(list)
    for entry in entries:
        for name, verdict in entry.verdicts.items():
            by_exercise[name].append((entry, verdict))
    parts.append("<h2>Exercises</h2>")
    for name, found in sorted(by_exercise.items()):
        counts = collections.Counter(verdict.state for _, verdict in found)
        rows = "".join(
            f"<tr><th>{state}</th><td class=n>{counts[state]}</td>"
            f'<td><span class="bar" style="width:{30 * counts[state] / len(found):.2f}rem"></span>'
            "</td></tr>"
            for state in STATES
            if counts[state]
        )
        parts.append(f"<h3>{name}</h3><table>{rows}</table>")
        said = collections.defaultdict(list)
        for entry, verdict in found:
            if verdict.state in ("wrong", "stopped"):
                said[_advice(verdict.message)].append(entry.submission.name)
        commonest = sorted(said.items(), key=lambda item: -len(item[1]))[:8]
        if commonest:
            rows = "".join(
                f"<tr><td class=n>{len(names)}</td><td>{html.escape(text)}</td>"
                f"<td>{html.escape(_some(names))}</td></tr>"
                for text, names in commonest
            )
            parts.append(f"<p>Wrong answers, the commonest first:</p><table>{rows}</table>")
    parts.append(_alike(entries))
    parts.append(_for_a_person(submissions, of))
    rows = "".join(
        f'<tr><td><a href="report/{html.escape(files[one.name])}.html">{html.escape(one.name)}</a>'
        f"</td><td class=n>{table.loc[one.name, 'total']:g}</td>"
        f"<td>{html.escape(table.loc[one.name, 'status'])}</td></tr>"
        for one in submissions
    )
    parts.append(f"<h2>Students</h2><table>{rows}</table>")
    return page("Summary", "".join(parts))


def _advice(message):
    """Return what wrong answers of one kind have in common: the advice, or else the first line."""
    lines = [line.strip() for line in message.splitlines()]
    return lines[-1] if lines else ""


def _some(names, most=5):
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _alike(entries):
    """List identical answers that are wrong, and long enough not to be chance."""
    same = collections.defaultdict(list)
    for entry in entries:
        for name, source in entry.sources.items():
            verdict = entry.verdicts.get(name)
            code = re.sub(r"#.*|\s+", "", source)
            if verdict and verdict.state == "wrong" and len(code) > 80:
                same[name, code].append(entry.submission.name)
    rows = "".join(
        f"<tr><td>{name}</td><td>{html.escape(', '.join(names))}</td></tr>"
        for (name, _), names in sorted(same.items())
        if 1 < len(names) <= 4
    )
    if not rows:
        return ""
    return (
        "<h2>The same unusual answer</h2><p>Wrong, and equal but for spaces and comments, in two "
        f"to four submissions. It proves nothing, and costs nobody points.</p><table>{rows}</table>"
    )


def _for_a_person(submissions, of):
    rows = []
    for one in submissions:
        remarks = list(one.remarks)
        for entry in of[one.name]:
            remarks += entry.remarks if entry.sources else []
            for name, verdict in entry.verdicts.items():
                if verdict.state == "stopped" or verdict.note:
                    remarks.append(f"{name}: {verdict.state}. {verdict.note or verdict.message}")
        if remarks:
            items = "<br>".join(map(html.escape, remarks))
            rows.append(f"<tr><td>{html.escape(one.name)}</td><td>{items}</td></tr>")
    if not rows:
        return ""
    return f"<h2>What needs a person's eye</h2><table>{''.join(rows)}</table>"


def collect_open(out):
    """Read the points of open questions back."""
    raise notebooks.UsageError(f"there are no open questions in {out}")
