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
    if name:
        folder = figures_folder()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{name}.png").write_bytes(png)
    display({"image/png": png, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})


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
    height = 1.0 if titles is None else 1.25
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
    images, row_labels=None, column_labels=None, title=None, rows="", columns="", signed=False
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
    signed : bool
        Draw differences: red was added, blue was removed, white is unchanged.

    Returns
    -------
    matplotlib Figure
    """
    images = squeeze_digits(images)
    n_rows, n_columns = images.shape[:2]
    side = 0.75 if n_columns > 8 else 1.0
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(n_columns * side + 0.9, n_rows * side + 0.8),
        squeeze=False,
        gridspec_kw={"wspace": 0.03, "hspace": 0.03},
    )
    scale = {"cmap": "RdBu_r", "vmin": -1, "vmax": 1} if signed else {"vmin": 0, "vmax": 1}
    for row, column in np.ndindex(n_rows, n_columns):
        ax = axes[row, column]
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        image = images[row, column]
        if np.isfinite(image).all():
            ax.imshow(image, **scale)
        if column == 0 and row_labels is not None:
            ax.set_ylabel(row_labels[row], rotation=0, ha="right", va="center", fontsize=10)
        if row == 0 and column_labels is not None:
            ax.set_title(column_labels[column], fontsize=10, loc="center")
    if rows:
        figure.supylabel(rows, fontsize=11)
    if columns:
        figure.supxlabel(columns, fontsize=11)
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    return figure


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


def confusion(ax, counts, title, class_names="0123456789"):
    """Draw a confusion matrix: the colours show the mistakes only, the numbers all.

    Parameters
    ----------
    ax : matplotlib Axes
    counts : int array of shape (classes, classes); row = true class, column = predicted class
    title : str
    class_names : sequence of str
    """
    mistakes = counts.copy()
    np.fill_diagonal(mistakes, 0)
    sns.heatmap(
        mistakes,
        ax=ax,
        annot=counts,
        fmt="d",
        cmap="cividis",
        cbar=False,
        square=True,
        annot_kws={"fontsize": 8},
        xticklabels=list(class_names),
        yticklabels=list(class_names),
    )
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel="predicted class", ylabel="true class", title=title)


def reliability(ax, table, title):
    """Draw a reliability diagram from the table of `confidence.reliability`."""
    ax.plot([0, 1], [0, 1], color="0.6", linestyle="--", linewidth=1)
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
    ax.scatter(table["confidence"], table["accuracy"], s=size, color=COLOURS[0], zorder=3)
    ax.set(
        xlim=(0, 1), ylim=(0, 1.02), xlabel="mean confidence m(x)", ylabel="accuracy", title=title
    )
    ax.set_aspect("equal")


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
