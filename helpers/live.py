"""Controls below a cell, and a picture that follows them while somebody moves them.

Where nobody can move anything (a command, a test, a rendered page), each function shows the last
picture that its controls would lead to as they stand at first, and needs no ipywidgets.
"""

from __future__ import annotations

import asyncio
import functools
import html
import io
import time
import traceback

import numpy as np
from matplotlib import colormaps, font_manager
from PIL import Image, ImageDraw, ImageFont

from helpers import confidence, inversion, neighbours, plotting, session, validation
from helpers.backend import tf

FRAMES = 50  # pictures of a walk, so that a long one takes no longer than a short one
SECONDS = 0.05  # at least, from one picture to the next
REST = 0.005  # in which the kernel hears that a control was moved
WIDTH = 800  # pixels, as wide as a cell on a projector
RATES = [0.01, 0.03, 0.1, 0.3, 1.0, 2.0, 3.0, 10.0, 30.0, 100.0]
THRESHOLDS = [0.0, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.93, 0.95, 0.97, 0.98, 0.99]
THRESHOLDS += [0.993, 0.995, 0.997, 0.998, 0.999, 0.9995, 0.9998, 0.9999, 0.99999]
UPDATES = {"of the report": False, "with our fallback": True}
BLACK, GRAY, WHITE = (0, 0, 0), (110, 110, 110), (255, 255, 255)
CHANGES = colormaps["RdBu_r"]
RED, BLUE = (tuple(int(part) for part in CHANGES(x, bytes=True)[:3]) for x in (0.9, 0.1))
COLOURS = [tuple(round(255 * part) for part in colour) for colour in plotting.COLOURS]


def threshold(p, y, images):
    """Refuse the images below a threshold of m(x): what is kept, and which images are in doubt.

    Parameters
    ----------
    p : dict of str to array of shape (n, classes), probabilities
        By the name of the model.
    y : array of shape (n,), labels
    images : array of shape (n, h, w, 1), values in [0, 1]

    Raises
    ------
    ValueError
        For images of another shape or range, or labels that do not fit.

    Examples
    --------
    >>> x, y = np.zeros((2, 28, 28, 1)), np.array([0, 1])
    >>> threshold({"CNN": [[0.95, 0.05], [0.6, 0.4]]}, y, x)  # outside of a notebook, this prints
    {'image/png': b'...', 'text/plain': 'Below 0.9, CNN may refuse. ...'}
    """
    if not p:
        raise ValueError("p must name one model or more, not {}")
    images = validation.images(images, "images")
    y = validation.labels(y, "y", len(images))
    curves = {name: confidence.risk_coverage(one, y) for name, one in p.items()}

    def frames(threshold, model):
        m, answers = confidence.max_probability(p[model]), np.argmax(p[model], axis=1)
        # 0.9 is less than 0.9 where votes were counted in float32
        kept, wrong = m > threshold - 1e-7, answers != y
        order = np.argsort(m, kind="stable")
        canvas = _Canvas(420)
        share, mistakes = session.percent(kept.mean(), 1), np.count_nonzero(kept & wrong)
        title = f"Keeping {share} of the images, {model} makes {_mistakes(mistakes)}"
        canvas.text(0, 12, title, 17)
        canvas.text(782, 39, "in orange: the true digit → the answer", 13, COLOURS[3], "rm")
        nearest = {"kept": order[kept[order]], "refused": order[~kept[order]][::-1]}
        for top, (what, places) in zip((30, 130), nearest.items(), strict=True):
            canvas.text(0, top + 9, f"{what}, the nearest to the threshold:", 13, GRAY)
            for column, place in enumerate(places[:12]):
                said = f"{y[place]} → {answers[place]}" if wrong[place] else f"{y[place]}"
                colour = COLOURS[3] if wrong[place] else BLACK
                canvas.digit(66 * column, top + 22, 56, images[place])
                canvas.text(66 * column + 28, top + 87, said, 13, colour, "mm")
        _refusal(canvas, curves, model, kept, wrong)
        yield (
            canvas.png(),
            f"Below {threshold:g}, {model} may refuse. {title}. Two rows of digits: those kept and "
            "those refused that are nearest to the threshold, with the wrong answers in orange. "
            "Below, the share of mistakes against the share kept, a curve for each model.",
        )

    _show(
        {
            "threshold": ("threshold of m(x)", THRESHOLDS, 0.9),
            "model": ("model", list(p), next(iter(p))),
        },
        frames,
        again=False,
    )


def _refusal(canvas, curves, model, kept, wrong):
    """Draw the risk-coverage curves, where a model stands on its own, and what it is in numbers."""
    # of the half that is drawn; 1 where nobody errs
    most = max(risk[len(risk) // 2 :].max() for _, risk in curves.values()) or 1
    axes = _Axes(canvas, (56, 256, 400, 396), (0.5, 1), (0, most))
    axes.ticks([0.5, 1], [0, most], session.percent, "coverage: images kept", "risk")
    right = 440
    for colour, (name, (coverage, risk)) in zip(COLOURS, curves.items(), strict=False):
        own = name == model
        right = canvas.text(right, 386, name, 14, colour, bold=own) + 20
        few = np.linspace(len(risk) // 2, len(risk) - 1, 200).astype(int)
        axes.curve(coverage[few], risk[few], colour, 4 if own else 1.5)
        if own and kept.mean() >= 0.5:
            axes.dot(kept.mean(), wrong[kept].mean(), colour)
    for line, (what, some) in enumerate(
        {"kept": kept, "refused": ~kept, "all": kept | True}.items()
    ):
        n, mistakes = np.count_nonzero(some), np.count_nonzero(wrong[some])
        share = f" ({session.percent(mistakes / n, 2)})" if n else ""
        canvas.text(440, 270 + 28 * line, what, 15, bold=line == 0)
        canvas.text(556, 270 + 28 * line, f"{n:,}", 15, anchor="rm")
        canvas.text(570, 270 + 28 * line, f"with {_mistakes(mistakes)}{share}", 15)


def _mistakes(n):
    return f"{n:,} mistake{'' if n == 1 else 's'}"


def walk(networks, digits, source=6, target=3, *, learning_rate=0.1, max_steps=200, **fixed):
    """Run a network backwards while its picture changes; all networks say what they see.

    Parameters
    ----------
    networks : dict of str to keras.Model
        Each can be run backwards; the others are judges then.
    digits : array of shape (10, h, w, 1), values in [0, 1]
        A real image of each class, in order.
    source, target : int
        The classes that the walk leads from and to at first.
    learning_rate, max_steps :
        As in `helpers.inversion.invert`, and where the controls stand at first.
    **fixed
        ``blur_every`` and ``decay``, as in `helpers.inversion.invert`.

    Raises
    ------
    ValueError
        For digits of another shape or range, or settings out of their range.

    Examples
    --------
    >>> walk({"CNN": cnn, "MLP": mlp}, digits)  # doctest: +SKIP
    """
    max_steps = validation.whole_number(max_steps, "max_steps", 1)
    frames = frames_of_walk(networks, digits, **fixed)
    # wrong settings are refused before anything is shown
    inversion.one_step(next(iter(networks.values())), learning_rate=learning_rate, **fixed)
    _show(
        {
            **_from_and_to(digits, source, target),
            "network": ("network", list(networks), next(iter(networks))),
            "learning_rate": ("learning rate η", RATES, learning_rate),
            "max_steps": ("steps", range(10, 401, 10), max_steps),
        },
        frames,
    )


def frames_of_walk(networks, digits, **fixed):
    """Make the function that draws the pictures of `walk`, one after the other.

    Parameters
    ----------
    networks, digits, **fixed :
        As in `walk`.

    Returns
    -------
    callable that takes ``start``, ``target``, ``network``, ``learning_rate`` and ``max_steps``
        A generator of pairs: the bytes of a PNG, and what it shows in words.

    Raises
    ------
    ValueError
        As in `walk`.

    Examples
    --------
    >>> frames = frames_of_walk({"CNN": cnn}, digits)  # doctest: +SKIP
    >>> for png, words in frames("a real 6", 3, "CNN", 0.1, 200):  # doctest: +SKIP
    ...     show(png)
    """
    starts, look = _starts(digits), _look(networks)

    def frames(start, target, network, learning_rate, max_steps):
        step = inversion.one_step(networks[network], learning_rate=learning_rate, **fixed)
        picture = _Walk(start, starts[start], target, max_steps, list(networks), network)
        for taken, x in _film(step, starts[start], target, max_steps):
            yield picture.draw(taken, x, look(x))

    return frames


def votes(
    index,
    networks,
    digits,
    source=6,
    target=3,
    *,
    k=10,
    mask=0.5,
    max_steps=40,
    stop_at=0.6,
    **fixed,
):
    """Run k-NN backwards while its picture changes, beside the neighbours that it follows.

    Parameters
    ----------
    index : NeighbourIndex
    networks : dict of str to keras.Model
        The judges.
    digits, source, target :
        As in `walk`.
    k, mask, max_steps, stop_at :
        As in `helpers.neighbours.invert`; k and the mask have controls.
    **fixed
        ``learning_rate``, as in `helpers.neighbours.invert`.

    Raises
    ------
    ValueError
        For digits of another shape or range, or settings out of their range.

    Examples
    --------
    >>> votes(index, {"CNN": cnn, "MLP": mlp}, digits)  # doctest: +SKIP
    """
    starts = _starts(digits)
    look = _look(networks)
    max_steps = validation.whole_number(max_steps, "max_steps", 1)
    stop_at = validation.number(stop_at, "stop_at", low=0, high=1)
    neighbours.one_step(index, k=k, mask=mask, **fixed)
    names = ["k-NN", *networks]

    def frames(start, target, update, k, mask):
        step = neighbours.one_step(index, k=k, mask=mask, fallback=UPDATES[update], **fixed)
        picture = _Walk(start, starts[start], target, max_steps, names, "k-NN")
        for taken, x in _film(step, starts[start], target, max_steps, stop_at):
            places = index.search(x, k)[1]  # once for the votes and for the pictures
            p, near = np.concatenate([index.shares(places), look(x)]), places[0, :12]
            yield picture.draw(taken, x, p, index.images[near], index.labels[near])

    _show(
        {
            **_from_and_to(digits, source, target),
            "update": ("update", list(UPDATES), list(UPDATES)[1]),
            "k": ("neighbours k", range(1, 51), k),
            "mask": ("mask: may change", [part / 20 for part in range(1, 21)], mask),
        },
        frames,
    )


def _starts(digits):
    """Return what a walk can begin with, by name: images of shape (1, h, w, c)."""
    digits = validation.images(digits, "digits")
    if len(digits) != 10:
        raise ValueError(f"digits must be ten images, one of each class, not {len(digits)}")
    starts = {f"a real {digit}": digits[[digit]] for digit in range(10)}
    shape = digits.shape[1:]
    return starts | {
        "noise": inversion.noise(1, 0, shape),
        "near black": inversion.near_black(1, 0, shape),
    }


def _from_and_to(digits, source, target):
    """Return the controls that every walk has."""
    starts = list(_starts(digits))
    return {
        "start": ("start", starts, starts[validation.whole_number(source, "source", 0, 9)]),
        "target": ("target class", range(10), validation.whole_number(target, "target", 0, 9)),
    }


def _look(networks):
    """Compile the verdicts of all networks on one image: an array (networks, classes)."""
    if not networks:
        raise ValueError("networks must name one network or more, not {}")

    @tf.function
    def look(x):
        return tf.concat([network(x) for network in networks.values()], axis=0)

    return lambda x: look(tf.constant(x)).numpy()


def _film(step, x, target, max_steps, stop_at=None):
    """Walk, and yield (steps taken, image) for each picture that is worth drawing."""
    targets = np.array([target])
    every = -(-max_steps // FRAMES)
    for taken in range(max_steps + 1):
        p, after = step(x, targets, taken + 1)
        ended = taken == max_steps or (stop_at is not None and p[0] >= stop_at)
        if ended or taken % every == 0:
            yield taken, x
        if ended:
            return
        x = after


# --- controls


def _show(controls, frames, again=True):
    """Show controls with the picture that follows them; else the last picture of their start.

    Parameters
    ----------
    controls : dict of str to (label, options, value)
        A range becomes a slider, texts a list to choose from, other options a slider of these.
    frames : callable that takes the controls' values by name
        Yields pictures: the bytes of a PNG, and what it shows in words.
    again : bool
        Whether there is something to see once more.
    """
    if session.has_controls():
        from IPython.display import display

        display(_Panel(controls, frames, again).box)
    else:
        *_, (png, words) = frames(**{name: value for name, (_, _, value) in controls.items()})
        plotting.show_png(png, words)


class _Panel:
    """Controls, the picture below them, and its description; one walk at a time."""

    running = None  # of all panels of the kernel: a cell that runs again ends its first walk

    def __init__(self, controls, frames, again):
        import ipywidgets as widgets
        from traitlets import Unicode

        self.frames = frames
        # JupyterLab lets controls speak in another thread of the kernel, with a loop of its own
        self.loop = asyncio.get_running_loop()
        self.controls = {name: _control(*about) for name, about in controls.items()}
        # JupyterLab reads a tooltip, which stands in for an alt text, only beside a description
        image = type("Picture", (widgets.Image,), {"description": Unicode().tag(sync=True)})
        self.picture = image(layout={"width": f"{WIDTH}px", "max_width": "100%"})
        self.words = widgets.HTML()
        self.again = widgets.Button(description="Once more", layout={"margin": "2px 0 2px auto"})
        self.again.on_click(self.start)
        for control in self.controls.values():
            control.observe(self.start, "value")
        columns = "repeat(auto-fit, minmax(330px, 1fr))"
        layout = {"grid_template_columns": columns, "max_width": f"{WIDTH}px"}
        grid = widgets.GridBox([*self.controls.values(), *[self.again] * again], layout=layout)
        self.box = widgets.VBox([grid, self.picture, self.words])
        self.start()

    def start(self, _=None):
        """Begin anew with the controls as they stand, in the thread of the cell."""
        self.loop.call_soon_threadsafe(self._begin)

    def _begin(self):
        if _Panel.running:
            _Panel.running.cancel()
        _Panel.running = self.loop.create_task(self.run())

    async def run(self):
        """Show picture after picture, and leave the kernel time to hear of the controls."""
        settings = {name: control.value for name, control in self.controls.items()}
        self.words.value = "…"
        began = time.perf_counter()
        try:
            for png, words in self.frames(**settings):
                with self.picture.hold_sync():
                    self.picture.value, self.picture.tooltip = png, words
                await asyncio.sleep(max(REST, began + SECONDS - time.perf_counter()))
                began = time.perf_counter()
            # not for each picture: a screen reader would never come to an end
            self.words.value = f'<div role="status">{html.escape(words)}</div>'
        except Exception:  # nobody looks into the log of a kernel
            error = html.escape(traceback.format_exc())
            self.words.value = f'<pre role="alert" style="color: #b00020">{error}</pre>'


def _control(label, options, value):
    import ipywidgets as widgets

    how = {
        "description": label,
        "value": value,
        "style": {"description_width": "130px"},
        "layout": {"width": "auto"},
    }
    if isinstance(options, range):
        # a notebook may begin outside of what its slider offers
        ends = {"min": min(options[0], value), "max": max(options[-1], value)}
        return widgets.IntSlider(step=options.step, **ends, **how)
    if isinstance(value, str):
        return widgets.Dropdown(options=options, **how)
    offered = [(f"{one:g}", one) for one in sorted({*options, value})]
    return widgets.SelectionSlider(options=offered, **how)


# --- pictures: not by Matplotlib, which takes longer for one than the steps between two


class _Walk:
    """The pictures of one walk: it keeps what everybody said on the way."""

    def __init__(self, start, before, target, max_steps, names, network):
        self.start, self.before, self.target = start, before[0], target
        self.max_steps, self.names, self.network = max_steps, names, network
        self.steps, self.p = [], []

    def draw(self, taken, x, p, near=(), labels=()):
        """Draw the image after some steps, where p is what everybody says: bytes, and words."""
        self.steps.append(taken)
        self.p.append(p[:, self.target])
        sees = dict(zip(self.names, p.argmax(axis=1), strict=True))
        yes = ", ".join(name for name in self.names if sees[name] == self.target)
        no = ", ".join(name for name in self.names if sees[name] != self.target)
        way = f"{self.start[0].upper()}{self.start[1:]} on its way to {self.target}"
        canvas = _Canvas(442 if len(near) else 340)
        canvas.text(0, 12, f"{way}; seen as {self.target} by {yes or 'nobody'}", 17)
        canvas.text(0, 40, f"after {taken} of {self.max_steps} steps", 13, GRAY)
        canvas.digit(0, 52, 280, x[0])
        canvas.text(304, 40, "the start", 13, GRAY)
        canvas.digit(304, 52, 112, self.before)
        canvas.text(304, 208, "added", 13, RED)
        canvas.text(416, 208, "removed", 13, BLUE, "rm")
        canvas.digit(304, 220, 112, x[0] - self.before, signed=True)
        self._curves(canvas, sees)
        if len(near):
            canvas.text(
                0, 352, f"its nearest training images, those of {self.target} in bold", 13, GRAY
            )
        for column, (image, label) in enumerate(zip(near, labels, strict=True)):
            canvas.digit(66 * column, 364, 56, image)
            own = label == self.target
            canvas.text(66 * column + 28, 431, str(label), 15, BLACK if own else GRAY, "mm", own)
        words = (
            f"{way} through {self.network}, large, beside the start, the change in red and blue, "
            f"and p of {self.target} along the walk. Seen as {self.target} by {yes or 'nobody'}"
        )
        return canvas.png(), words + (f"; not by {no}." if no else ".")

    def _curves(self, canvas, sees):
        bottom = 332 - 24 * len(self.names)
        axes = _Axes(canvas, (484, 52, 780, bottom - 46), (0, self.max_steps), (0, 1))
        axes.ticks([0, self.max_steps], [0, 0.5, 1], "{:g}".format, "steps", f"p of {self.target}")
        rows = zip(COLOURS, self.names, np.transpose(self.p), strict=False)
        for line, (colour, name, p) in enumerate(rows):
            own = name == self.network
            axes.curve(self.steps, p, colour, 4 if own else 1.5)
            y = bottom + 24 * line + 12
            canvas.line([(452, y), (472, y)], colour, 4 if own else 1.5)
            canvas.text(480, y, name, 14, bold=own)
            canvas.text(650, y, f"sees {sees[name]}", 14, bold=sees[name] == self.target)
            canvas.text(792, y, f"p = {p[-1]:.2f}", 14, anchor="rm")


class _Axes:
    """A pair of axes on a canvas, in a box (left, top, right, bottom)."""

    def __init__(self, canvas, box, x, y):
        self.canvas, self.box, self.x, self.y = canvas, box, x, y

    def place(self, x, y):
        left, top, right, bottom = self.box
        (x_low, x_high), (y_low, y_high) = self.x, self.y
        across = left + (right - left) * (np.asarray(x) - x_low) / (x_high - x_low)
        down = bottom - (bottom - top) * (np.asarray(y) - y_low) / (y_high - y_low)
        return list(zip(np.atleast_1d(across), np.atleast_1d(down), strict=True))

    def ticks(self, x, y, write, x_label, y_label):
        """Draw the axes with their names; `write` makes a text of a value."""
        left, top, right, bottom = self.box
        self.canvas.line([(left, top), (left, bottom), (right, bottom)], GRAY, 1)
        for value in x:
            [(across, _)] = self.place(value, self.y[0])
            self.canvas.text(across, bottom + 11, write(value), 12, GRAY, "mm")
        for value in y:
            [(_, down)] = self.place(self.x[0], value)
            self.canvas.text(left - 6, down, write(value), 12, GRAY, "rm")
        self.canvas.text((left + right) / 2, bottom + 11, x_label, 13, GRAY, "mm")
        self.canvas.text(left, top - 12, y_label, 13, GRAY)

    def curve(self, x, y, colour, width):
        self.canvas.line(self.place(x, y), colour, width)

    def dot(self, x, y, colour):
        [(across, down)] = self.place(x, y)
        box = (across - 6, down - 6, across + 6, down + 6)
        self.canvas.pen.ellipse([2 * edge for edge in box], fill=colour, outline=WHITE, width=3)


class _Canvas:
    """A white sheet that is drawn twice as large and then halved, so that lines are smooth."""

    def __init__(self, height):
        self.sheet = Image.new("RGB", (2 * WIDTH, 2 * height), WHITE)
        self.pen = ImageDraw.Draw(self.sheet)

    def text(self, x, y, text, size, colour=BLACK, anchor="lm", bold=False):
        """Write a line, and return where it ends on the right."""
        font = _font(2 * size, bold)
        self.pen.text((2 * x, 2 * y), text, fill=colour, font=font, anchor=anchor)
        return x + font.getlength(text) / 2

    def line(self, points, colour, width):
        points = [(2 * x, 2 * y) for x, y in points]
        self.pen.line(points, fill=colour, width=round(2 * width), joint="curve")

    def digit(self, x, y, side, image, signed=False):
        """Draw an image (h, w, c) as the figures do: in gray, or a change from blue to red."""
        if signed:
            pixels = CHANGES((image[..., 0] + 1) / 2, bytes=True)[..., :3]
        else:
            pixels = np.uint8(np.rint(255 * image.clip(0, 1)))
            pixels = pixels.repeat(3, axis=2) if pixels.shape[2] == 1 else pixels
        large = Image.fromarray(pixels).resize((2 * side, 2 * side), Image.Resampling.NEAREST)
        self.sheet.paste(large, (2 * x, 2 * y))

    def png(self):
        buffer = io.BytesIO()
        # a higher level takes longer than it saves
        self.sheet.reduce(2).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()


@functools.lru_cache
def _font(size, bold):
    weight = "bold" if bold else "normal"
    path = font_manager.findfont(font_manager.FontProperties(family="DejaVu Sans", weight=weight))
    return ImageFont.truetype(path, size)
