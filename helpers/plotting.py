"""The course's figures: one style, digits in gray on the same scale, and alt text on every one."""

from __future__ import annotations

import io

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython.display import display

from helpers import session

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
        file = session.figures_folder() / f"{name}.png"
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
