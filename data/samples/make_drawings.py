"""Draw the digits ``drawn_*.png``: strokes of our own with a trembling pen, not handwriting.

Run it in the repository: ``python data/samples/make_drawings.py``.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SIDE, FINER = 160, 3  # pixels of a picture, and how many times larger it is drawn

# strokes of a digit in a square from 0 to 1, (across, down)
SEVEN = [(0.05, 0.1), (0.5, 0.06), (0.95, 0.08), (0.7, 0.45), (0.5, 0.75), (0.4, 1.0)]
BAR = [(0.3, 0.56), (0.6, 0.52), (0.85, 0.53)]
ONE = [(0.25, 0.3), (0.45, 0.14), (0.6, 0.0), (0.58, 0.5), (0.56, 1.0)]
FOOT = [(0.2, 1.0), (0.55, 0.98), (0.9, 1.0)]
FOUR = [(0.45, 0.0), (0.25, 0.3), (0.05, 0.62), (0.5, 0.62), (0.95, 0.6)]
STEM = [(0.7, 0.3), (0.68, 0.65), (0.64, 1.0)]
THREE = [
    *[(0.12, 0.12), (0.45, 0.0), (0.82, 0.14), (0.75, 0.38), (0.4, 0.48)],
    *[(0.8, 0.6), (0.86, 0.84), (0.5, 1.0), (0.08, 0.9)],
]

# name: strokes, corner (across, down) and size as shares of the sheet, width of the pen
SHEETS = {
    "1_serif": ([ONE, FOOT], (0.3, 0.2), (0.35, 0.6), 9),
    "3_large": ([THREE], (0.12, 0.1), (0.72, 0.8), 13),
    "4_open": ([FOUR, STEM], (0.2, 0.2), (0.5, 0.55), 8),
    "7_corner": ([SEVEN], (0.66, 0.66), (0.2, 0.26), 5),
    "7_crossed": ([SEVEN, BAR], (0.2, 0.15), (0.5, 0.65), 9),
    "7_shadow": ([SEVEN], (0.2, 0.15), (0.5, 0.65), 8),
}


def draw(strokes, corner, size, width, rng):
    """Draw strokes as dark ink on a white sheet, (side, side), values in [0, 1]."""
    side = SIDE * FINER
    sheet = Image.new("L", (side, side), 255)
    pen = ImageDraw.Draw(sheet)
    for stroke in strokes:
        points = np.array(stroke) + rng.normal(0, 0.02, (len(stroke), 2))
        # a smooth way through the points, and a hand that trembles a little on it
        t = np.linspace(0, len(points) - 1, 200)
        way = np.stack([np.interp(t, np.arange(len(points)), column) for column in points.T], 1)
        way = np.stack(
            [np.convolve(np.pad(c, 12, "edge"), np.ones(25) / 25, "valid") for c in way.T], 1
        )
        way = (np.array(corner) + way * size) * side + rng.normal(0, 0.4, way.shape)
        thick = width * FINER * (1 + 0.12 * np.sin(np.linspace(0, 5, 200) + rng.uniform(0, 6)))
        for (x, y), r in zip(way, thick / 2, strict=True):
            pen.ellipse((x - r, y - r, x + r, y + r), fill=25)
    sheet = sheet.filter(ImageFilter.GaussianBlur(FINER)).resize((SIDE, SIDE), Image.BOX)
    return np.asarray(sheet, float) / 255


def main():
    """Write all drawings beside this file."""
    rng = np.random.default_rng(7)
    for name, (strokes, corner, size, width) in SHEETS.items():
        sheet = draw(strokes, corner, size, width, rng)
        if "shadow" in name:  # a photo: half in the shade, with grain
            across = np.linspace(0, 1, SIDE)
            sheet = sheet * (0.45 + 0.5 / (1 + np.exp(-12 * (across - 0.45))))
            sheet = sheet + rng.normal(0, 0.015, sheet.shape)
        image = Image.fromarray(np.uint8(np.rint(255 * sheet.clip(0, 1))))
        image.save(Path(__file__).with_name(f"drawn_{name}.png"), optimize=True)


if __name__ == "__main__":
    main()
