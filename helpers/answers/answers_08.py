"""Answers of 08: a digit on a canvas, a table that is too good, all attacks together."""

import numpy as np

from helpers.chapters.chapter_08 import has_its_size, is_for_each_row, place, suspect, together


@place.right
@place.mistake("top is how far down the image lies, left how far across.", swapped=True)
@place.mistake("You take one pixel of each block: the others are lost.", shrink=lambda b: b[0, 0])
@place.mistake("That is max pooling: take the mean of each block.", shrink=np.max)
@place.mistake("That is the sum of each block: take its mean.", shrink=np.sum)
@place.mistake("The canvas is black: begin with zeros.", paper=1.0)
@place.mistake("The image lies in the corner: where are top and left?", corner=True)
def _place(image, size, top, left, swapped=False, shrink=np.mean, paper=0.0, corner=False):
    h = len(image)
    k = size // h
    top, left = (left, top) if swapped else (top, left)
    top, left = (0, 0) if corner else (top, left)
    canvas = np.full((size, size), paper)
    canvas[top : top + h, left : left + h] = image
    blocks = [[canvas[k * i : k * i + k, k * j : k * j + k] for j in range(h)] for i in range(h)]
    return np.array([[shrink(block) for block in row] for row in blocks])


@place.mistake(has_its_size)
def _no_shrinking(image, size, top, left):
    canvas = np.zeros((size, size))
    canvas[top : top + len(image), left : left + len(image)] = image
    return canvas


@place.mistake("Shrunk first, an image can lie on whole pixels only: put it on the canvas first.")
def _shrunk_first(image, size, top, left):
    h = len(image)
    k = size // h
    small = image[: h // k * k, : h // k * k].reshape(h // k, k, h // k, k).mean(axis=(1, 3))
    result = np.zeros_like(image)
    result[top // k : top // k + h // k, left // k : left // k + h // k] = small
    return result


NEXT = "A number may creep up in small steps: compare with all to its left, not only with the next."


@suspect.right
@suspect.mistake("Chance moves a number by tol: only a larger rise is suspicious.", chance=0)
@suspect.mistake("That finds falls: suspicious is a stronger attack with a HIGHER number.", sign=-1)
@suspect.mistake("You compare with the clean images only: the rise can come later.", first=True)
@suspect.mistake("any: a single rise is enough.", every=all)
@suspect.mistake("True is for a suspicious row.", wanted=False)
def _suspect(table, tol, chance=1, sign=1, first=False, every=any, wanted=True):
    result = []
    for row in table:
        lefts = [[0] if first else range(later) for later in range(len(row))]
        rises = [
            any(sign * (row[later] - row[left]) > chance * tol for left in lefts[later])
            for later in range(1, len(row))
        ]
        result.append(every(rises) == wanted)
    return np.array(result)


@suspect.mistake(NEXT)
def _neighbours(table, tol):
    return (np.diff(table, axis=1) > tol).any(axis=1)


@suspect.mistake("The last number is not the only stronger attack: look at every pair.")
def _last(table, tol):
    return table[:, -1] > table.min(axis=1) + tol


@suspect.mistake(is_for_each_row)
def _one_verdict(table, tol):
    return bool(_suspect(table, tol).any())


MIN = "The lowest share is that of the best attack alone; others fool other images."


@together.right
@together.mistake(MIN, over_attacks=None)
@together.mistake("That is how many withstand at least one attack.", over_attacks=any)
@together.mistake("That is the mean over the attacks: one that fails helps no image.", of=np.mean)
@together.mistake("That is how many are fooled: count those that stay right.", fooled=True)
@together.mistake("Turned round: axis 0 holds the attacks.", turned=True)
def _together(right, over_attacks=all, of=None, fooled=False, turned=False):
    if of is not None:
        return of(right)
    rows = right if turned else right.T
    share = (
        np.mean([over_attacks(row) for row in rows]) if over_attacks else min(map(np.mean, right))
    )
    return 1 - share if fooled else share


@together.mistake("A share: divide by the number of images.")
def _count(right):
    return int(right.all(axis=0).sum())
