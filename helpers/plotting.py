"""The course's figures: one style, digits in gray on the same scale, and alt text on every one."""

from __future__ import annotations

import io
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython.display import display

from helpers import ROOT

COLOURS = sns.color_palette("colorblind")
DPI = 100


def use_style():
    """Set the style of every figure: colour-blind-safe colours, no frame that says nothing."""
    sns.set_theme(
        style="ticks",
        palette="colorblind",
        rc={
            "figure.dpi": DPI,
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 12,
            "axes.titlelocation": "left",
            "axes.labelsize": 11,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "grid.alpha": 0.3,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "lines.linewidth": 2,
        },
    )


def figures_folder():
    """Where named figures are saved: ``$COURSE_FIGURES``, by default ``build/figures``."""
    return ROOT / Path(os.environ.get("COURSE_FIGURES") or "build/figures")


def show(figure, alt, name=None):
    """Display a figure as one PNG with alt text, and save it if it has a name.

    Parameters
    ----------
    figure : matplotlib Figure
        It is closed afterwards.
    alt : str
        What the figure shows and what to conclude, for somebody who cannot see it; no measured
        number, so that it stays true.
    name : str, optional
        File name without its ending, for the figures folder.

    Raises
    ------
    ValueError
        If `alt` is empty.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    _show_png(buffer.getvalue(), alt, name)


def _show_png(png, alt, name):
    if not alt.strip():
        raise ValueError("alt must say what the figure shows; it is empty")
    display({"image/png": png, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})
    if name:
        file = figures_folder() / f"{name}.png"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png)
        except OSError as error:  # a course folder that cannot be written to
            print(f"The figure was not saved as {file.name}: {error.strerror}")


def squeeze_digits(images):
    """Return images without their channel: (..., 28, 28, 1) becomes (..., 28, 28)."""
    images = np.asarray(images)
    return images[..., 0] if images.shape[-1] == 1 else images


def digit_grid(images, titles=None, columns=10, title=None, wrong=None):
    """Draw images in reading order.

    Parameters
    ----------
    images : array of shape (n, 28, 28) or (n, 28, 28, 1), values in [0, 1]
    titles : sequence of n str, optional
    columns : int
    title : str, optional
        The finding, above the whole figure.
    wrong : sequence of n bool, optional
        Whose title is drawn in orange.

    Returns
    -------
    matplotlib Figure
    """
    images = squeeze_digits(images)
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = 1.0 if titles is None else 0.97 + 0.17 * (1 + max(t.count("\n") for t in titles))
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * 0.95, rows * height + 0.4 * bool(title)), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for place, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        ax.imshow(image, vmin=0, vmax=1)
        if titles is not None:
            colour = COLOURS[3] if wrong is not None and wrong[place] else "black"
            ax.set_title(titles[place], fontsize=9, loc="center", color=colour)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def digit_table(
    images,
    row_labels=None,
    column_labels=None,
    title=None,
    rows="",
    columns="",
    signed=False,
    captions=None,
):
    """Draw a table of images: a film strip for each row, or a source x target matrix.

    Parameters
    ----------
    images : array of shape (rows, columns, 28, 28) or (rows, columns, 28, 28, 1)
        Values in [0, 1], or in [-1, 1] if `signed`. NaN images stay empty.
    row_labels, column_labels : sequences of str, optional
    title : str, optional
        The finding.
    rows, columns : str
        What the rows and the columns are: the names of the axes.
    signed : bool, or sequence of bool, one for each row
        Draw differences: red was added, blue was removed, white is unchanged.
    captions : array of str of shape (rows, columns), optional
        Written under each image; a row of empty ones takes no place.

    Returns
    -------
    matplotlib Figure
    """
    images = squeeze_digits(images)
    n_rows, n_columns = images.shape[:2]
    side = 0.75 if n_columns > 8 else 1.0
    captioned = 0 if captions is None else sum(any(row) for row in captions)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(n_columns * side + 0.9, n_rows * side + 0.8 + captioned * 0.17),
        squeeze=False,
        gridspec_kw={"wspace": 0.03, "hspace": 0.03},
    )
    signed = np.broadcast_to(signed, n_rows)
    for row, column in np.ndindex(n_rows, n_columns):
        ax = axes[row, column]
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        image = images[row, column]
        if np.isfinite(image).all():
            scale = {"cmap": "RdBu_r", "vmin": -1} if signed[row] else {"vmin": 0}
            ax.imshow(image, vmax=1, **scale)
        if column == 0 and row_labels is not None:
            ax.set_ylabel(row_labels[row], rotation=0, ha="right", va="center", fontsize=10)
        if row == 0 and column_labels is not None:
            ax.set_title(column_labels[column], fontsize=10, loc="center")
        if captions is not None:
            ax.set_xlabel(captions[row][column], fontsize=8, labelpad=1)
    if rows:
        figure.supylabel(rows, fontsize=11)
    if columns:
        figure.supxlabel(columns, fontsize=11)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def matrices(tables, title):
    """Draw tables of ten by ten digits side by side: rows are sources, columns are targets.

    Parameters
    ----------
    tables : dict of str to array of shape (100, 28, 28) or (100, 28, 28, 1), values in [0, 1]
        The source of image i is i // 10, its target i % 10. The diagonal, which is drawn in an
        orange frame, holds the real sources.
    title : str
        The finding.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = plt.subplots(1, len(tables), figsize=(5.1 * len(tables), 5.6), squeeze=False)
    side = 30  # a digit and a margin of one pixel around it
    centres = side * np.arange(10) + side / 2 - 0.5
    for ax, (name, images) in zip(axes.flat, tables.items(), strict=True):
        padded = np.pad(squeeze_digits(images), ((0, 0), (1, 1), (1, 1)), constant_values=0.35)
        mosaic = padded.reshape(10, 10, side, side).swapaxes(1, 2).reshape(10 * side, 10 * side)
        ax.imshow(mosaic, vmin=0, vmax=1)
        for place in range(10):
            corner = (place * side - 0.5, place * side - 0.5)
            frame = {"fill": False, "edgecolor": COLOURS[1], "linewidth": 2}
            ax.add_patch(plt.Rectangle(corner, side, side, **frame))
        ax.grid(False)
        ax.set_xticks(centres, range(10))
        ax.set_yticks(centres, range(10))
        ax.tick_params(length=0)
        sns.despine(ax=ax, left=True, bottom=True)
        ax.set(xlabel="target class", title=name)
    axes[0, 0].set_ylabel("real source (orange frame)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def compare_inversions(groups, title):
    """Draw starts, and under each what several inversions made of it, with the final p.

    Parameters
    ----------
    groups : dict of str to (dict of str to Inversion, array of int)
        Name of the starts -> the runs that began there, by the name of their row, and which of
        their images to show. The targets of the columns are the same in every group.
    title : str

    Returns
    -------
    matplotlib Figure
    """
    rows = []
    for start, (runs, places) in groups.items():
        first = next(iter(runs.values()))
        targets = first.targets[places]
        rows.append((start, first.start[places], [""] * len(places)))
        for name, run in runs.items():
            p = [f"{value:.2f}" for value in run.probability[places]]
            rows.append((name, run.images[places], p))
    labels, images, captions = zip(*rows, strict=True)
    column_labels = [f"to {target}" for target in targets]
    return digit_table(np.stack(images), labels, column_labels, title, captions=captions)


def network(model, title):
    """Draw a chain of layers from left to right, each with its name and the shape that it returns.

    Parameters
    ----------
    model : keras.Model
        Image outputs are drawn as stacks of sheets: the side grows with the height in pixels, the
        stack with the number of channels. Vectors are drawn as bars.
    title : str
        The finding.

    Returns
    -------
    matplotlib Figure
    """
    colours = {"Conv2D": COLOURS[0], "MaxPooling2D": COLOURS[1], "Dense": COLOURS[2]}
    figure, ax = plt.subplots(figsize=(10.5, 2.9))
    left = 0.0
    for layer in model.layers:
        kind, shape, settings = type(layer).__name__, layer.output.shape[1:], layer.get_config()
        image = len(shape) == 3
        sheets = 1 + shape[-1] // 12 if image else 1
        width = 0.3 + shape[0] / 25 if image else 0.25
        height = width if image else 0.5 + 0.5 * np.log10(shape[0])
        for sheet in range(sheets):
            corner = (left + 0.08 * sheet, 0.04 * (sheets - 1) - 0.08 * sheet - height / 2)
            colour = colours.get(kind, "0.6")
            ax.add_patch(plt.Rectangle(corner, width, height, facecolor=colour, edgecolor="white"))
        right = left + width + 0.08 * (sheets - 1)
        window = settings.get("kernel_size") or settings.get("pool_size")
        name = [kind.removesuffix("Layer"), window and "{} × {}".format(*window)]
        name = "\n".join(filter(None, [*name, settings.get("activation")]))
        middle = (left + right) / 2
        ax.text(middle, 1.15, name, ha="center", va="bottom", fontsize=10)
        ax.text(middle, -1.4, " × ".join(map(str, shape)), ha="center", va="bottom", fontsize=10)
        if layer is not model.layers[-1]:
            arrow = {"arrowstyle": "-|>", "color": "0.3"}
            ax.annotate("", (right + 0.65, 0), (right + 0.1, 0), arrowprops=arrow)
        left = right + 0.75
    for height, label in ((1.15, "layer"), (-1.4, "shape")):
        ax.text(-0.3, height, label, ha="right", va="bottom", fontsize=10, color="0.4")
    ax.set(xlim=(-0.9, left - 0.5), ylim=(-1.5, 2.0), title=title)
    ax.axis("off")
    return figure


def lines(ax, x, series, x_label, y_label, title, label_at_end=True):
    """Draw named curves with the names beside their ends.

    Parameters
    ----------
    ax : matplotlib Axes
    x : array of shape (n,)
    series : dict of str to array of shape (n,)
    x_label, y_label, title : str
    label_at_end : bool
        False puts the names into a legend, for curves that end at the same place.
    """
    for name, y in series.items():
        (line,) = ax.plot(x, y, marker="o" if len(x) <= 15 else None, label=name)
        if label_at_end:
            ax.annotate(
                f" {name}", (x[-1], y[-1]), color=line.get_color(), va="center", fontsize=10
            )
    if label_at_end:
        ax.margins(x=0.15)
    else:
        ax.legend(frameon=False)
    ax.set(xlabel=x_label, ylabel=y_label, title=title)


def line_panels(panels, x, x_label, y_label):
    """Draw the same curves under several conditions, side by side.

    Parameters
    ----------
    panels : dict of str to dict of str to array of shape (n,)
        For each condition, the title of its panel, the named curves of `lines`.
    x : array of shape (n,)
    x_label, y_label : str

    Returns
    -------
    matplotlib Figure
    """
    size = (4.75 * len(panels), 3.5)
    figure, axes = plt.subplots(1, len(panels), figsize=size, sharey=True, squeeze=False)
    for ax, (title, curves) in zip(axes.flat, panels.items(), strict=True):
        lines(ax, x, curves, x_label, "", title, label_at_end=False)
        if ax is not axes[0, -1]:
            ax.get_legend().remove()
    axes[0, 0].set_ylabel(y_label)
    return figure


def walks(ways, what, titles, short=None):
    """Draw the probability and the length of the gradient along walks, on log axes.

    Parameters
    ----------
    ways : dict of str to array of shape (steps, 2)
        For each walk, p of the target and the length of the gradient before every step.
    what : sequence of 2 str
        The names of the two vertical axes.
    titles : sequence of 2 str
        The findings.
    short : float, optional
        The length below which a walk stops: a dashed line.

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.4))
    for ax, column, label, title in zip(axes, (0, 1), what, titles, strict=True):
        for name, way in ways.items():
            ax.semilogy(way[:, column], label=name)
        ax.set(xlabel="step", ylabel=label, title=title)
    if short:
        axes[1].axhline(short, color="black", linestyle="--", linewidth=1)
        axes[1].annotate(
            "ε", (0.98, short), xycoords=("axes fraction", "data"), ha="right", va="bottom"
        )
    axes[0].legend(frameon=False)
    return figure


def first_epoch(ax, alone, mean_so_far, validation):
    """Draw one quantity over the batches of an epoch.

    Parameters
    ----------
    ax : matplotlib Axes
    alone, mean_so_far : arrays of shape (batches,)
        Of each batch, and the mean since the start of the epoch.
    validation : float
        After the last batch.
    """
    batches = np.arange(1, len(alone) + 1)
    ax.plot(batches, alone, color="0.7", linewidth=1, label="training: each batch alone")
    ax.plot(batches, mean_so_far, label="training: mean so far")
    ax.plot(batches[-1], validation, "o", markersize=8, label="validation, at the end")
    ax.legend(frameon=False)


def confusion(ax, counts, title, class_names="0123456789", most=None):
    """Draw a confusion matrix: the colours show the mistakes only, the numbers all.

    Parameters
    ----------
    ax : matplotlib Axes
    counts : int array of shape (classes, classes); row = true class, column = predicted class
    title : str
    class_names : sequence of str
    most : int, optional
        Mistakes in the brightest cell, to draw several matrices on one scale.
    """
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    sns.heatmap(
        mistakes,
        ax=ax,
        annot=counts,
        fmt="d",
        cmap="cividis",
        vmin=0,
        vmax=most,
        cbar=False,
        square=True,
        annot_kws={"fontsize": 8},
        xticklabels=list(class_names),
        yticklabels=list(class_names),
    )
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel="predicted class", ylabel="true class", title=title)


def verdicts(tables, title):
    """Draw what a test said of every pair of runs: worse, better, or nothing.

    Parameters
    ----------
    tables : dict of str to int array of shape (seeds, seeds)
        Row = seed of the named network, column = seed of the reference; 1 is better, -1 worse.
    title : str
        The finding.

    Returns
    -------
    matplotlib Figure
    """
    columns = 4
    rows = len(tables) // columns + 1  # one place stays free, for the legend
    figure, axes = plt.subplots(rows, columns, figsize=(10, 2.9 * rows + 0.3), squeeze=False)
    colours = [COLOURS[1], (0.88, 0.88, 0.88), COLOURS[0]]
    scale = {"cmap": colours, "vmin": -1, "vmax": 1, "cbar": False, "square": True}
    for ax, (name, table) in zip(axes.flat, tables.items(), strict=False):
        table = np.asarray(table)
        signs = np.array(["−", "", "+"])[table + 1]
        sns.heatmap(table, ax=ax, annot=signs, fmt="", linewidths=1, **scale)
        ax.tick_params(length=0, rotation=0)
        ax.set_title(f"{name}: {np.count_nonzero(table)} significant", fontsize=11)
        ax.set(xlabel="seed of the reference", ylabel=f"seed of {name}")
    for ax in axes.flat[len(tables) :]:
        ax.axis("off")
    words = ["− significantly worse", "no verdict", "+ significantly better"]
    patches = [plt.Rectangle((0, 0), 1, 1, color=colour) for colour in colours]
    axes.flat[-1].legend(patches, words, loc="center", frameon=False)
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def intervals(values, marked, x_label, title):
    """Draw the 95 % interval of the mean of each column, and its values as small dots.

    Parameters
    ----------
    values : DataFrame; one column for each interval, one row for each run
    marked : collection of str
        The columns that are drawn in orange; the others are gray.
    x_label, title : str

    Returns
    -------
    matplotlib Figure
    """
    from scipy import stats

    low, high = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    figure, ax = plt.subplots(figsize=(8.5, 0.8 + 0.48 * values.shape[1]))
    for place, name in enumerate(values):
        colour = COLOURS[3] if name in marked else "0.5"
        ax.plot([low[place], high[place]], [place, place], color=colour, linewidth=6, alpha=0.4)
        ax.plot(values[name].mean(), place, marker="D", color=colour)
        ax.plot(values[name], np.full(len(values), place + 0.28), ".", color=colour, alpha=0.6)
    ax.axvline(0, color="black", linewidth=1)
    ax.set_yticks(range(values.shape[1]), list(values))
    ax.set(ylim=(values.shape[1] - 0.4, -0.5), xlabel=x_label, title=title)
    return figure


def cost_and_runs(ax, cost, values, sides):
    """Draw every run of every network against what the network costs; a bar is the mean.

    Parameters
    ----------
    ax : matplotlib Axes
    cost : Series; one number for each network, its name is the name of the axis
    values : DataFrame; one column for each network, one row for each run
    sides : dict of str to {"left", "right", "above", "below"}
        Where a name stands, seen from its dots, if not on the right.
    """
    colours = [*COLOURS[:5], (0.25, 0.25, 0.25), COLOURS[9]]  # those dark enough on white
    aligned = {"left": ("right", "center"), "right": ("left", "center")}
    aligned |= {"above": ("center", "bottom"), "below": ("center", "top")}
    for name, colour in zip(values, colours, strict=False):
        x, runs, side = cost[name], values[name], sides.get(name, "right")
        ax.plot(np.full(len(runs), x), runs, ".", color=colour, alpha=0.6)
        ax.plot(x, runs.mean(), marker="_", markersize=13, markeredgewidth=3, color=colour)
        y = {"above": runs.max(), "below": runs.min()}.get(side, runs.mean())
        away = {"left": (-9, 0), "right": (9, 0), "above": (0, 4), "below": (0, -4)}[side]
        ha, va = aligned[side]
        ax.annotate(name, (x, y), away, textcoords="offset points", ha=ha, va=va, fontsize=10)
    ax.set(xscale="log", xlabel=f"{cost.name} (log scale)")


def reliability(ax, table, title):
    """Draw a reliability diagram from the table of `confidence.reliability`.

    The gray whiskers on the diagonal show chance: 95 % of a calibrated model's dots lie inside.
    """
    said = table["confidence"].clip(0, 1)
    chance = 2 * np.sqrt(said * (1 - said) / table["count"])
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
    ax.errorbar(said, said, yerr=chance, fmt="none", ecolor="0.4", elinewidth=1.5, capsize=3)
    ax.bar(
        table["low"],
        table["accuracy"],
        width=table["high"] - table["low"],
        align="edge",
        color=COLOURS[0],
        alpha=0.35,
        edgecolor=COLOURS[0],
    )
    size = 8 + 120 * table["count"] / table["count"].sum()
    ax.scatter(
        table["confidence"], table["accuracy"], s=size, color=COLOURS[0], zorder=3, clip_on=False
    )
    ax.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence m(x)", ylabel="accuracy", title=title
    )
    ax.set_aspect("equal")


def confidence_strips(images, answers, marks, title):
    """Draw one image of each kind, and below it how sure several models are of all of them.

    Parameters
    ----------
    images : dict of str to array of shape (n, 28, 28) or (n, 28, 28, 1)
        Images of each kind; the first one is drawn.
    answers : dict of str to dict of str to array of shape (n, classes)
        For each kind and model, the probabilities; their maxima m(x) are the dots.
    marks : mapping of str to float
        For each model, a level that is drawn as a short black line.
    title : str

    Returns
    -------
    matplotlib Figure
    """
    figure, axes = plt.subplots(
        2,
        len(images),
        figsize=(2.3 * len(images), 4.4),
        height_ratios=[1, 2.2],
        sharey="row",
        squeeze=False,
    )
    aside = np.random.default_rng(0)  # dots at the same height are spread, to be seen
    for kind, top, bottom in zip(images, *axes, strict=True):
        top.imshow(squeeze_digits(images[kind])[0], vmin=0, vmax=1)
        top.set_title(kind, loc="center")
        top.axis("off")
        for place, (model, p) in enumerate(answers[kind].items()):
            m = p.max(axis=1)
            x = place + aside.uniform(-0.25, 0.25, len(m)) * (len(m) > 1)
            size, alpha = (8, 0.35) if len(m) > 1 else (40, 1)
            bottom.scatter(x, m, s=size, alpha=alpha, color=COLOURS[place], linewidths=0)
            bottom.hlines(marks[model], place - 0.4, place + 0.4, color="black", linewidth=1.5)
        names = [model.replace(", ", "\n").replace(" = ", "=") for model in answers[kind]]
        bottom.set(xticks=range(len(names)), xticklabels=names, ylim=(0, 1.04))
        bottom.tick_params(axis="x", length=0, labelsize=9)
    axes[1, 0].set_ylabel("confidence m(x)")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


def animate(frames, alt, name=None, columns=10, zoom=3, milliseconds=80):
    """Display an animated PNG of one image or of a row of images.

    Parameters
    ----------
    frames : array of shape (frames, n, 28, 28) or (frames, n, 28, 28, 1), values in [0, 1]
    alt, name : as in `show`
    columns : int
        Images in a row.
    zoom : int
        Screen pixels for one pixel.
    milliseconds : int
        Time of one frame; the last stays ten times as long.
    """
    from PIL import Image

    frames = squeeze_digits(frames)
    count, n = frames.shape[:2]
    columns = min(columns, n)
    rows = -(-n // columns)
    padded = np.zeros((count, rows * columns, 30, 30))
    padded[:, :n, 1:29, 1:29] = frames
    sheets = padded.reshape(count, rows, columns, 30, 30).transpose(0, 1, 3, 2, 4)
    sheets = np.uint8(np.rint(255 * sheets.reshape(count, rows * 30, columns * 30)))
    pictures = [
        Image.fromarray(sheet).resize((columns * 30 * zoom, rows * 30 * zoom), Image.NEAREST)
        for sheet in sheets
    ]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=[milliseconds] * (count - 1) + [10 * milliseconds],
        loop=0,
    )
    _show_png(buffer.getvalue(), alt, name)
