"""Alter digits: put them on a canvas, corrupt them, and bring a picture into MNIST's form."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from scipy import ndimage

from helpers import session, validation

DRAWINGS = session.ROOT / "data" / "samples"
SEVERITIES = (1, 2, 3)


def on_canvas(images, size=56, place=None, *, seed=0):
    """Put each image on a larger black canvas, and shrink the canvas to the size of the image.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    size : int, at least h and w
        The side of the canvas in pixels; 56 makes a digit half as large.
    place : pair of float in [0, 1], optional
        Where every image lies: (0, 0) is the upper left corner, (1, 1) the lower right one, and
        (0.5, 0.5) the middle. Default: each image has a random place of its own.
    seed : int
        Seed of the random places.

    Returns
    -------
    float32 array of shape (n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        For images of another shape or range, a canvas that is too small, a place outside of it.

    Notes
    -----
    A pixel of the result is the mean of the canvas over its area. Rows and columns are shrunk
    one after the other, each by a matrix, so that thousands of images take a second.

    Examples
    --------
    >>> white = np.ones((1, 2, 2, 1), np.float32)
    >>> on_canvas(white, size=4, place=(0, 1))[0, ..., 0]
    array([[0., 1.],
           [0., 0.]], dtype=float32)
    """
    x = validation.images(images, "images")
    size = validation.whole_number(size, "size", max(x.shape[1:3]))
    rng = np.random.default_rng(validation.seed(seed))
    tables = [windows(side, size) for side in x.shape[1:3]]
    if place is None:
        chosen = [rng.integers(0, len(table), len(x)) for table in tables]
    else:
        place = validation.numbers(place, "place", 0, 1)
        if len(place) != 2:
            raise ValueError(f"place must be two numbers, down and across, not {len(place)}")
        chosen = [
            np.full(len(x), round(share * (len(table) - 1)))
            for share, table in zip(place, tables, strict=True)
        ]
    down, across = (table[at] for table, at in zip(tables, chosen, strict=True))
    # channels first, so that both products are of matrices
    planes = np.moveaxis(x, -1, 1)
    small = down[:, None] @ planes @ across[:, None].swapaxes(-1, -2)
    return np.clip(np.moveaxis(small, 1, -1), 0, 1)


def windows(side, size):
    """Matrices that put a line of pixels on a longer one and shrink it back, one for each place.

    Parameters
    ----------
    side, size : int, 1 <= side <= size

    Returns
    -------
    float32 array of shape (size - side + 1, side, side)

    Raises
    ------
    ValueError
        For a size below the side.

    Examples
    --------
    >>> windows(2, 4)[1]  # the two pixels lie in the middle of four
    array([[0.5, 0. ],
           [0. , 0.5]], dtype=float32)
    """
    side = validation.whole_number(side, "side", 1)
    size = validation.whole_number(size, "size", side)
    step, pixel = size / side, np.arange(size)
    start = step * np.arange(side)[:, None]
    covered = np.minimum(start + step, pixel + 1) - np.maximum(start, pixel)
    shrink = np.maximum(covered, 0) / step
    places = [shrink[:, first : first + side] for first in range(size - side + 1)]
    return np.array(places, np.float32)


# --- corruptions


def corrupt(images, name, severity=1, *, seed=0):
    """Spoil images in one of the ways of `CORRUPTIONS`.

    Parameters
    ----------
    images : array of shape (n, h, w, c), values in [0, 1]
    name : key of `CORRUPTIONS`
    severity : {1, 2, 3}
    seed : int
        Seed of all that is drawn: noise, angles, places.

    Returns
    -------
    float32 array of shape (n, h, w, c), values in [0, 1]

    Raises
    ------
    ValueError
        For images of another shape or range, an unknown name, or another severity.

    Notes
    -----
    Shot noise, motion blur, rotation, shear, scale, stripes and spatter are kinds of MNIST-C (Mu
    and Gilmer, 2019); the other four are ours. All are written anew in NumPy and SciPy with
    strengths of our own, so numbers are not comparable with that benchmark's.

    Examples
    --------
    >>> grey = np.full((1, 2, 2, 1), 0.25, np.float32)
    >>> corrupt(grey, "contrast", 3)[0, ..., 0]
    array([[0.45, 0.45],
           [0.45, 0.45]], dtype=float32)
    """
    x = validation.images(images, "images")
    change, strengths = CORRUPTIONS[validation.choice(name, "name", CORRUPTIONS)]
    severity = validation.whole_number(severity, "severity", 1, len(strengths))
    rng = np.random.default_rng(validation.seed(seed))
    return np.clip(change(x, strengths[severity - 1], rng), 0, 1).astype(np.float32, copy=False)


def _noise(x, sigma, rng):
    return x + sigma * rng.standard_normal(x.shape, np.float32)


def _shot_noise(x, photons, rng):
    return rng.poisson(photons * x) / np.float32(photons)


def _blur(x, sigma, rng):
    return ndimage.gaussian_filter(x, (0, sigma, sigma, 0))


def _motion_blur(x, length, rng):
    angle = rng.uniform(0, np.pi, len(x))
    way = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    same = np.broadcast_to(np.eye(2), (len(x), 2, 2))
    return sum(_warp(x, same, t * way) for t in np.arange(length) - (length - 1) / 2) / length


def _rotation(x, degrees, rng):
    angle = np.deg2rad(degrees) * rng.choice([-1, 1], len(x))
    turn = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return _warp(x, np.moveaxis(turn, -1, 0))


def _shear(x, slant, rng):
    sign = rng.choice([-1, 1], len(x))
    return _warp(x, np.moveaxis([[sign**2, 0 * sign], [slant * sign, sign**2]], -1, 0))


def _scale(x, factor, rng):
    return _warp(x, np.broadcast_to(np.eye(2) / factor, (len(x), 2, 2)))


def _contrast(x, factor, rng):
    return 0.5 + factor * (x - 0.5)


def _stripes(x, number, rng):
    first = rng.permuted(np.tile(np.arange(0, x.shape[2] - 1, 2), (len(x), 1)), axis=1)[:, :number]
    column = np.arange(x.shape[2])
    striped = (column // 2 * 2 == first[:, :, None]).any(axis=1)
    return np.where(striped[:, None, :, None], np.float32(1), x)


def _occlusion(x, side, rng):
    hidden = np.ones(x.shape[:1], bool)[:, None, None]
    for axis, length in enumerate(x.shape[1:3]):
        # within the middle, where digits are
        first = rng.integers(length // 7, length - length // 7 - side + 1, len(x))[:, None]
        pixel = np.arange(length)
        covered = (pixel >= first) & (pixel < first + side)
        hidden = hidden & (covered[:, :, None] if axis == 0 else covered[:, None, :])
    return np.where(hidden[..., None], np.float32(0), x)


def _spatter(x, share, rng):
    drops = ndimage.gaussian_filter(rng.standard_normal(x.shape, np.float32), (0, 1, 1, 0))
    level = np.quantile(drops, 1 - share, axis=(1, 2, 3), keepdims=True)
    return np.where(drops > level, np.float32(1), x)


def _warp(x, matrices, shifts=0):
    """Sample images at matrix @ (pixel - centre) + centre + shift, bilinearly; black outside."""
    n, height, width, _ = x.shape
    size = np.array([height, width], np.float32)
    centre = (size - 1) / 2
    pixel = np.moveaxis(np.indices((height, width), np.float32), 0, -1).reshape(-1, 2) - centre
    shifts = np.broadcast_to(np.float32(shifts), (n, 2))[:, None]
    at = pixel @ np.swapaxes(matrices, 1, 2).astype(np.float32) + centre + shifts
    # a black margin of two pixels catches whatever comes from outside
    row, column = np.moveaxis(np.clip(at, -1, size) + 1, -1, 0)
    above, before = row.astype(np.int32), column.astype(np.int32)
    row, column = row - above.astype(np.float32), column - before.astype(np.float32)
    step = width + 3
    corner = (np.arange(n, dtype=np.int32)[:, None] * (height + 3) + above) * step + before
    padded = np.pad(x, ((0, 0), (1, 2), (1, 2), (0, 0)))
    result = np.empty_like(x)
    for channel in range(x.shape[-1]):
        flat = padded[..., channel].ravel()
        upper = flat[corner] * (1 - column) + flat[corner + 1] * column
        lower = flat[corner + step] * (1 - column) + flat[corner + step + 1] * column
        result[..., channel] = (upper * (1 - row) + lower * row).reshape(n, height, width)
    return result


# name -> function of (images, strength, rng), and its strength for each severity
CORRUPTIONS = {
    "noise": (_noise, (0.15, 0.3, 0.45)),  # standard deviation
    "shot noise": (_shot_noise, (10, 4, 1.5)),  # photons of a white pixel
    "blur": (_blur, (1.0, 1.5, 2.0)),  # standard deviation in pixels
    "motion blur": (_motion_blur, (5, 8, 11)),  # pixels
    "rotation": (_rotation, (15, 30, 45)),  # degrees, to either side
    "shear": (_shear, (0.25, 0.5, 0.75)),
    "scale": (_scale, (0.8, 0.65, 0.5)),
    "contrast": (_contrast, (0.6, 0.4, 0.2)),  # what is left of it, around grey
    "stripes": (_stripes, (1, 2, 3)),  # white stripes of two columns
    "occlusion": (_occlusion, (6, 9, 12)),  # side of a black square
    "spatter": (_spatter, (0.03, 0.07, 0.12)),  # share of the image under white drops
}


# --- pictures from outside


def own_pictures(folder="."):
    """Read pictures of digits that a person put beside the notebook, or the stored drawings.

    Parameters
    ----------
    folder : str or Path
        Where to look for files ``my_*.png``, ``my_*.jpg`` or ``my_*.jpeg``, for example
        ``my_7.png``: a photo of handwriting, or a drawing from any paint program. Default: the
        folder of the notebook.

    Returns
    -------
    dict of str to uint8 array of shape (h, w) or (h, w, 3 or 4)
        By the name of the file, in order of the names; without such a file the drawings
        ``data/samples/drawn_*.png``.

    Raises
    ------
    ValueError
        If a file holds no picture; it is named.

    Examples
    --------
    >>> list(own_pictures())[0]
    'drawn_1_serif'
    """
    from PIL import Image, ImageOps, UnidentifiedImageError

    kinds = (".png", ".jpg", ".jpeg")
    files = [path for path in sorted(Path(folder).glob("my_*")) if path.suffix.lower() in kinds]
    found = {}
    for path in files or sorted(DRAWINGS.glob("drawn_*.png")):
        try:
            with Image.open(path) as image:
                image = ImageOps.exif_transpose(image)  # phones turn pictures in a note
                form = image.mode if image.mode in ("L", "RGB", "RGBA") else "RGBA"
                found[path.stem] = np.asarray(image.convert(form))
        except (UnidentifiedImageError, OSError) as error:
            raise ValueError(f"{path.name} holds no picture that can be read: {error}") from None
    return found


def like_mnist(picture, side=28, box=20):
    """Bring a picture of one digit into the form of MNIST, step by step.

    Parameters
    ----------
    picture : array of shape (h, w) or (h, w, 3 or 4), or a PIL image
        A photo or a drawing: dark ink on a bright ground or bright ink on a dark one. Whole
        numbers from 0 to 255, or numbers in [0, 1].
    side, box : int, box <= side
        The sides of the result, and of the square into which the digit is fitted.

    Returns
    -------
    dict of str to float32 array of shape (h, w), values in [0, 1]
        Each step by its name, in order; the last has the shape (side, side).

    Raises
    ------
    ValueError
        For a picture of another shape or range, and for one without any ink.

    Notes
    -----
    MNIST's digits were black and white, fitted into a box of 20 x 20 pixels with their aspect
    ratio, which made the grey pixels, and put into 28 x 28 pixels so that their centre of mass
    lies in the middle (LeCun et al., 1998). Ink is told from paper by Otsu's threshold (1979),
    after the paper's own shade was taken away by a morphological opening; blots that are much
    smaller than the largest stroke are left out.

    Examples
    --------
    >>> paper = np.full((60, 90), 250)
    >>> paper[10:40, 20:26] = 30
    >>> steps = like_mnist(paper)
    >>> {name: step.shape for name, step in steps.items()}  # doctest: +NORMALIZE_WHITESPACE
    {'picture': (60, 90), 'bright ink': (60, 90), 'ink only': (60, 90), 'cropped': (30, 6),
     'in a box': (20, 4), 'centred': (28, 28)}
    """
    from PIL import Image

    side = validation.whole_number(side, "side", 1)
    box = validation.whole_number(box, "box", 1, side)
    grey = _grey(picture)
    border = np.concatenate([grey[0], grey[-1], grey[:, 0], grey[:, -1]])
    bright = 1 - grey if np.median(border) > 0.5 else grey
    # what is wider than any stroke is paper, shadow or table
    bright = ndimage.white_tophat(bright, size=max(3, max(grey.shape) // 3))
    ink = _largest(bright > _otsu(bright))
    if not ink.any() or bright.max() < 0.05:
        raise ValueError("picture must show ink on paper; it is of one shade")
    clean = np.where(ink, np.minimum(1, bright / np.quantile(bright[ink], 0.9)), np.float32(0))
    rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
    cropped = clean[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    height, width = (max(1, round(n * box / max(cropped.shape))) for n in cropped.shape)
    shrunk = Image.fromarray(np.uint8(255 * cropped)).resize((width, height), Image.BOX)
    fitted = np.asarray(shrunk, np.float32)
    fitted /= fitted.max()  # the darkest ink is white, however thin the pen
    return {
        "picture": grey,
        "bright ink": bright,
        "ink only": clean,
        "cropped": cropped,
        "in a box": fitted,
        "centred": centred(fitted, side),
    }


def centred(digit, side=28):
    """Put a digit on a black square so that its centre of mass lies in the middle.

    Parameters
    ----------
    digit : array of shape (h, w), values in [0, 1]
    side : int, at least h and w

    Returns
    -------
    float32 array of shape (side, side)
        The centre of mass lies within half a pixel of pixel side // 2, as in MNIST, unless the
        digit would leave the square.

    Raises
    ------
    ValueError
        For a digit of another shape or range, without ink, or larger than the square.

    Examples
    --------
    >>> centred(np.array([[1, 0, 0]]), side=3)
    array([[0., 0., 0.],
           [1., 0., 0.],
           [0., 0., 0.]], dtype=float32)
    >>> centred(np.array([[1, 0, 0]]), side=5)
    array([[0., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.],
           [0., 0., 1., 0., 0.],
           [0., 0., 0., 0., 0.],
           [0., 0., 0., 0., 0.]], dtype=float32)
    """
    digit = validation.images(np.asarray(digit)[None, ..., None], "digit")[0, ..., 0]
    side = validation.whole_number(side, "side", max(digit.shape))
    if not digit.any():
        raise ValueError("digit must hold ink; it is black")
    mass = np.array(ndimage.center_of_mass(digit))
    first = np.rint(side // 2 - mass).astype(int)  # MNIST's middle is pixel 14 of 0 to 27
    top, left = np.clip(first, 0, side - np.array(digit.shape))
    square = np.zeros((side, side), np.float32)
    square[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return square


def _grey(picture, longest=280):
    """Return a picture of any kind as grey float32 array (h, w), at most `longest` on a side."""
    from PIL import Image

    array = np.asarray(picture)
    if array.ndim not in (2, 3) or min(array.shape[:2]) < 3 or array.dtype.kind not in "fiub":
        raise ValueError(
            "picture must be numbers of shape (h, w), (h, w, 3) or (h, w, 4), 3 pixels or more, "
            f"not {array.dtype} of shape {array.shape}"
        )
    array = array.astype(np.float32) / (1 if array.dtype.kind in "fb" else 255)
    if not (array.min() >= 0 and array.max() <= 1):
        raise ValueError("picture must hold whole numbers from 0 to 255, or numbers in [0, 1]")
    if array.ndim == 3:
        if array.shape[2] not in (3, 4):
            raise ValueError(f"picture must have 3 or 4 channels, not {array.shape[2]}")
        ink, *alpha = np.split(array, [3], axis=2)
        # what is see-through shows white paper
        alpha = alpha[0] if array.shape[2] == 4 else 1
        array = (1 - alpha * (1 - ink)) @ np.array([0.299, 0.587, 0.114], np.float32)
    image = Image.fromarray(np.uint8(np.rint(255 * array)))
    image.thumbnail((longest, longest))
    return np.asarray(image, np.float32) / 255


def _otsu(image, bins=256):
    """Return the threshold that parts the pixels into two groups of least variance."""
    counts, edges = np.histogram(image, bins)
    middles = (edges[1:] + edges[:-1]) / 2
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * middles)
    low, high = sums[:-1] / np.maximum(below, 1), (sums[-1] - sums[:-1]) / np.maximum(above, 1)
    return edges[1:-1][np.argmax(below * above * (high - low) ** 2)]


def _largest(ink, share=0.1):
    """Leave out blots that are smaller than a share of the largest one."""
    labels, n = ndimage.label(ink, np.ones((3, 3)))
    sizes = np.bincount(labels.ravel(), minlength=n + 1)[1:]
    keep = np.flatnonzero(sizes >= share * sizes.max(initial=0)) + 1
    return np.isin(labels, keep) & ink
