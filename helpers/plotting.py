"""The course's figures: one style, digits in gray on the same scale, and alt text on every one.

What two or more notebooks draw stands here. A figure that only one notebook draws stands in the
room of its chapter, for example `helpers.chapters.chapter_01`.
"""

from __future__ import annotations

import io
import re

import matplotlib.pyplot as plt
import numpy as np
import seaborn as sns
from IPython.display import display

from helpers import session

COLOURS = sns.color_palette("colorblind")
DPI = 100
SLACK = 1e-4  # an augmented or averaged pixel may leave its range by a rounding error


def use_style():
    """Set the style of every figure: colour-blind-safe colours, no frame that says nothing.

    Examples
    --------
    >>> use_style()
    >>> plt.rcParams["image.cmap"]
    'gray'
    """
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
        File name without its ending, for the figures folder: letters, digits, ``_`` and ``-``.

    Raises
    ------
    ValueError
        If `figure` is no figure, if `alt` is empty, or if `name` is no plain file name. Nothing
        is displayed or written then.

    Examples
    --------
    >>> figure, ax = plt.subplots()
    >>> show(figure, "An empty pair of axes.")  # outside of a notebook, this prints
    {'image/png': b'...', 'text/plain': 'An empty pair of axes.'}
    """
    if not isinstance(figure, plt.Figure):
        raise ValueError(f"figure must be a matplotlib Figure, not {type(figure).__name__}")
    _check_words(alt, name)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    plt.close(figure)
    show_png(buffer.getvalue(), alt, name)


def _check_words(alt, name):
    if not isinstance(alt, str) or not alt.strip():
        raise ValueError(f"alt must say what the figure shows, not {alt!r}")
    # a name with a dot, a slash or a drive could leave the figures folder
    if name is not None and not (isinstance(name, str) and re.fullmatch(r"[A-Za-z0-9_-]+", name)):
        raise ValueError(
            "name must be a file name of letters, digits, _ and -, without an ending and without "
            f"a folder, not {name!r}"
        )


def show_png(png, alt, name=None):
    """Display a finished picture as `show` displays a figure.

    Parameters
    ----------
    png : bytes
    alt, name :
        As in `show`.

    Raises
    ------
    ValueError
        As `show`, for words that do not fit.

    Examples
    --------
    >>> show_png(b"bytes of a PNG", "Nothing at all.")  # outside of a notebook, this prints
    {'image/png': b'...', 'text/plain': 'Nothing at all.'}
    """
    _check_words(alt, name)
    display({"image/png": png, "text/plain": alt}, raw=True, metadata={"image/png": {"alt": alt}})
    if name is not None:
        file = session.figures_folder() / f"{name}.png"
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png)
        except OSError as error:  # a course folder that cannot be written to
            print(f"The figure was not saved as {file.name}: {error.strerror}")


def squeeze_digits(images):
    """Return images without their channel: (..., h, w, 1) becomes (..., h, w).

    Examples
    --------
    >>> squeeze_digits(np.zeros((3, 20, 16, 1))).shape
    (3, 20, 16)
    """
    images = np.asarray(images)
    return images[..., 0] if images.shape[-1] == 1 else images


def _checked(images, name, axes, low=0.0, colour=False):
    """Return images without their channel, or say what is wrong with them.

    Parameters
    ----------
    images : array of shape (..., h, w) or (..., h, w, 1), values in [low, 1]
        An image that is NaN all over is one that stays empty. With `colour` also (..., h, w, 3).
    name : str
    axes : sequence of str, the names of the axes before (h, w)
    low : float, or array that broadcasts to the images without their channel
    colour : bool
        Whether images may be in colour.
    """
    expected = ", ".join([*axes, "h", "w"])
    try:
        images = np.asarray(images)
    except ValueError:
        raise ValueError(f"{name} must be one array of shape ({expected}): sizes differ") from None
    in_colour = colour and images.ndim == len(axes) + 3 and images.shape[-1] == 3
    if images.ndim == len(axes) + 3 and not in_colour:
        images = squeeze_digits(images)
    expected_axes = len(axes) + 2 + in_colour
    if images.ndim != expected_axes or images.size == 0 or images.dtype.kind not in "fiub":
        raise ValueError(
            f"{name} must be numbers of shape ({expected}) or ({expected}, 1), "
            f"not {images.dtype} of shape {images.shape}"
        )
    inside = (images >= low - SLACK) & (images <= 1 + SLACK)
    pixels = tuple(range(len(axes), images.ndim))
    fits = inside.all(axis=pixels) | np.isnan(images).all(axis=pixels)
    if not fits.all():
        first = images[~fits][0]
        bottom = "[-1, 1] where signed, else in [0, 1]" if np.any(low) else "[0, 1]"
        raise ValueError(
            f"{name} must hold values in {bottom}; one image runs from {first.min():g} to "
            f"{first.max():g}"
        )
    return images


def _one_each(values, name, n, what):
    """Return a sequence as a list of length n; None stays None."""
    if values is None:
        return None
    values = list(values)
    if len(values) != n:
        raise ValueError(f"{name} must have {n} entries, one for each {what}, not {len(values)}")
    return values


def _at_least_one(value, name):
    whole = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if not whole or value < 1:
        raise ValueError(f"{name} must be a whole number, 1 or more, not {value!r}")


def digit_grid(images, titles=None, columns=10, title=None, wrong=None):
    """Draw images in reading order.

    Parameters
    ----------
    images : array of shape (n, h, w), (n, h, w, 1) or, in colour, (n, h, w, 3), values in [0, 1]
        An image of NaN stays empty.
    titles : sequence of n str, optional
    columns : int, 1 or more
    title : str, optional
        The finding, above the whole figure.
    wrong : sequence of n bool, optional
        Whose title is drawn in orange.

    Returns
    -------
    matplotlib Figure

    Raises
    ------
    ValueError
        For images of another shape or range, or lists of another length.

    Examples
    --------
    >>> figure = digit_grid(np.zeros((3, 20, 16)), titles=["a", "b", "c"], columns=2)
    >>> [ax.get_title() for ax in figure.axes]  # the last place stays free
    ['a', 'b', 'c', '']
    """
    images = _checked(images, "images", ["n"], colour=True)
    titles = _one_each(titles, "titles", len(images), "image")
    titles = titles if titles is None else [str(title) for title in titles]
    wrong = _one_each(wrong, "wrong", len(images), "image")
    _at_least_one(columns, "columns")
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    height = 1.0 if titles is None else 0.97 + 0.17 * (1 + max(t.count("\n") for t in titles))
    figure, axes = plt.subplots(
        rows, columns, figsize=(columns * 0.95, rows * height + 0.4 * bool(title)), squeeze=False
    )
    for ax in axes.flat:
        ax.axis("off")
    for place, (ax, image) in enumerate(zip(axes.flat, images, strict=False)):
        _draw_digit(ax, image)
        if titles is not None:
            colour = COLOURS[3] if wrong is not None and wrong[place] else "black"
            ax.set_title(titles[place], fontsize=9, loc="center", color=colour)
    _headline(figure, title)
    return figure


def _draw_digit(ax, image, signed=False):
    """Draw one image on the scale of the course; one of NaN is left out."""
    if np.isfinite(image).all():
        scale = {"cmap": "RdBu_r", "vmin": -1} if signed else {"cmap": "gray", "vmin": 0}
        ax.imshow(image, vmax=1, **scale)


def _headline(figure, title):
    if title:
        figure.suptitle(title, x=0.01, ha="left", fontsize=12)


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
    images : array of shape (rows, columns, h, w) or (rows, columns, h, w, 1)
        Values in [0, 1], or in [-1, 1] if `signed`. An image of NaN stays empty. Where nothing is
        signed, images may be in colour: (rows, columns, h, w, 3).
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

    Raises
    ------
    ValueError
        For images of another shape or range, or lists of another length.

    Examples
    --------
    >>> change = np.full((1, 2, 20, 16), [[[[0.5]], [[-0.5]]]])
    >>> figure = digit_table(change, column_labels=["added", "removed"], signed=True)
    >>> [image.get_clim() for ax in figure.axes for image in ax.images]
    [(-1.0, 1.0), (-1.0, 1.0)]
    """
    signed = np.asarray(signed, bool)
    if signed.ndim and signed.shape != np.shape(images)[:1]:
        raise ValueError(f"signed must be one bool, or one for each row, not {signed.shape}")
    low = -1.0 * signed.reshape(-1, 1, 1, 1)
    low = low if signed.any() else 0.0
    images = _checked(images, "images", ["rows", "columns"], low, colour=not signed.any())
    n_rows, n_columns = images.shape[:2]
    signed = np.broadcast_to(signed, n_rows)
    row_labels = _one_each(row_labels, "row_labels", n_rows, "row")
    column_labels = _one_each(column_labels, "column_labels", n_columns, "column")
    captions = _one_each(captions, "captions", n_rows, "row")
    for line in captions or []:
        _one_each(line, "each row of captions", n_columns, "column")
    side = 0.75 if n_columns > 8 else 1.0
    captioned = 0 if captions is None else sum(any(line) for line in captions)
    figure, axes = plt.subplots(
        n_rows,
        n_columns,
        figsize=(n_columns * side + 0.9, n_rows * side + 0.8 + captioned * 0.17),
        squeeze=False,
        gridspec_kw={"wspace": 0.03, "hspace": 0.03},
    )
    for row, column in np.ndindex(n_rows, n_columns):
        ax = axes[row, column]
        ax.set(xticks=[], yticks=[])
        sns.despine(ax=ax, left=True, bottom=True)
        _draw_digit(ax, images[row, column], signed[row])
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
    _headline(figure, title)
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

    Raises
    ------
    ValueError
        If there is no curve, or one is not as long as `x`.

    Examples
    --------
    >>> figure, ax = plt.subplots()
    >>> lines(ax, [1, 2], {"CNN": [0.9, 0.95]}, "epoch", "accuracy", "It rises")
    >>> [text.get_text() for text in ax.texts]
    [' CNN']
    """
    x = np.asarray(x)
    if x.ndim != 1 or len(x) == 0 or not series:
        raise ValueError(f"lines needs a curve, and x of shape (n,), n >= 1, not {x.shape}")
    for name, y in series.items():
        if np.shape(y) != x.shape:
            raise ValueError(f"series[{name!r}] must have shape {x.shape}, as x, not {np.shape(y)}")
        y = np.asarray(y)
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


def confusion(ax, counts, title, class_names=None, most=None):
    """Draw a confusion matrix: the colours show the mistakes only, the numbers all.

    Parameters
    ----------
    ax : matplotlib Axes
    counts : int array of shape (classes, classes); row = true class, column = predicted class
    title : str
    class_names : sequence of str, one for each class, optional
        Default: the numbers from 0.
    most : int, optional
        Mistakes in the brightest cell, to draw several matrices on one scale.

    Raises
    ------
    ValueError
        If `counts` is no square table of whole numbers, or the names are too many or too few.

    Examples
    --------
    >>> figure, ax = plt.subplots()
    >>> confusion(ax, [[90, 1], [3, 80]], "Few are confused", ["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['90', '1', '3', '80']
    """
    counts = np.asarray(counts)
    square = counts.ndim == 2 and counts.shape[0] == counts.shape[1] >= 1
    if not square or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(
            "counts must be whole numbers, 0 or more, of shape (classes, classes), "
            f"not {counts.dtype} of shape {counts.shape}"
        )
    names = _one_each(class_names, "class_names", len(counts), "class") or range(len(counts))
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
        xticklabels=list(names),
        yticklabels=list(names),
    )
    ax.tick_params(length=0, rotation=0)
    ax.set(xlabel="predicted class", ylabel="true class", title=title)


LAYERS = {  # kind of layer -> its name in words, and its colour
    "InputLayer": ("image", "0.6"),
    "Conv2D": ("convolution", COLOURS[0]),
    "MaxPooling2D": ("pooling", COLOURS[1]),
    "Flatten": ("flat vector", "0.6"),
    "Dense": ("dense layer", COLOURS[2]),
}
OTHER = ("another layer", "0.6")


def show_network(model, title, name=None):
    """Show a chain of layers from left to right, each with its name and the shape that it returns.

    Parameters
    ----------
    model : keras.Model
        Image outputs are drawn as stacks of sheets: the side grows with the height in pixels, the
        stack with the number of channels. Vectors are drawn as bars.
    title : str
    name : str, optional
        As in `show`.
    """
    figure, ax = plt.subplots(figsize=(10.5, 2.9))
    left = 0.0
    for layer in model.layers:
        right = _draw_layer(ax, layer, left)
        if layer is not model.layers[-1]:
            arrow = {"arrowstyle": "-|>", "color": "0.3"}
            ax.annotate("", (right + 0.65, 0), (right + 0.1, 0), arrowprops=arrow)
        left = right + 0.75
    for height, label in ((1.15, "layer"), (-1.4, "shape")):
        ax.text(-0.3, height, label, ha="right", va="bottom", fontsize=10, color="0.4")
    ax.set(xlim=(-0.9, left - 0.5), ylim=(-1.5, 2.0))
    ax.set_title(title)
    ax.axis("off")
    words = [LAYERS.get(type(layer).__name__, OTHER)[0] for layer in model.layers]
    show(
        figure,
        f"The network from left to right: {', '.join(words)}. Sides shrink while the number of "
        "channels grows.",
        name,
    )


def _draw_layer(ax, layer, left):
    """Draw what one layer returns, from the place `left` on; return where it ends."""
    kind, shape, settings = type(layer).__name__, layer.output.shape[1:], layer.get_config()
    image = len(shape) == 3
    sheets = 1 + shape[-1] // 12 if image else 1
    width = 0.3 + shape[0] / 25 if image else 0.25
    height = width if image else 0.5 + 0.5 * np.log10(shape[0])
    colour = LAYERS.get(kind, OTHER)[1]
    for sheet in range(sheets):
        corner = (left + 0.08 * sheet, 0.04 * (sheets - 1) - 0.08 * sheet - height / 2)
        ax.add_patch(plt.Rectangle(corner, width, height, facecolor=colour, edgecolor="white"))
    right = left + width + 0.08 * (sheets - 1)
    window = settings.get("kernel_size") or settings.get("pool_size")
    name = [kind.removesuffix("Layer"), window and "{} × {}".format(*window)]
    name = "\n".join(filter(None, [*name, settings.get("activation")]))
    middle = (left + right) / 2
    ax.text(middle, 1.15, name, ha="center", va="bottom", fontsize=10)
    ax.text(middle, -1.4, " × ".join(map(str, shape)), ha="center", va="bottom", fontsize=10)
    return right


def animate(frames, alt, name=None, columns=10, zoom=3, milliseconds=80):
    """Display an animated PNG of one image or of a row of images.

    Parameters
    ----------
    frames : array of shape (frames, n, h, w) or (frames, n, h, w, 1), values in [0, 1]
    alt, name : as in `show`
    columns : int, 1 or more
        Images in a row.
    zoom : int, 1 or more
        Screen pixels for one pixel.
    milliseconds : int, 1 or more
        Time of one frame; the last stays ten times as long.

    Raises
    ------
    ValueError
        As `show`, and for frames of another shape or range, or settings below 1.

    Examples
    --------
    >>> brighter = np.linspace(0, 1, 3).reshape(3, 1, 1, 1) * np.ones((3, 2, 20, 16))
    >>> animate(brighter, "Two images that grow brighter.")  # outside of a notebook, this prints
    {'image/png': b'...', 'text/plain': 'Two images that grow brighter.'}
    """
    from PIL import Image

    _check_words(alt, name)
    frames = _checked(frames, "frames", ["frames", "n"])
    settings = {"columns": columns, "zoom": zoom, "milliseconds": milliseconds}
    for setting, value in settings.items():
        _at_least_one(value, setting)
    sheets = np.stack([_sheet(images, min(columns, len(images))) for images in frames])
    height, width = sheets.shape[1:]
    pictures = [
        Image.fromarray(sheet).resize((width * zoom, height * zoom), Image.NEAREST)
        for sheet in sheets
    ]
    buffer = io.BytesIO()
    pictures[0].save(
        buffer,
        format="PNG",
        save_all=True,
        append_images=pictures[1:],
        duration=[milliseconds] * (len(frames) - 1) + [10 * milliseconds],
        loop=0,
    )
    show_png(buffer.getvalue(), alt, name)


def _sheet(images, columns):
    """Lay images out in rows on one sheet of bytes, with a black margin of a pixel around each."""
    rows = -(-len(images) // columns)
    free = rows * columns - len(images)
    padded = np.pad(np.nan_to_num(images), ((0, free), (1, 1), (1, 1)))
    height, width = padded.shape[1:]
    sheet = padded.reshape(rows, columns, height, width).swapaxes(1, 2)
    sheet = sheet.reshape(rows * height, columns * width)
    return np.uint8(np.rint(255 * sheet.clip(0, 1)))
