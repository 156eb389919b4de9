"""Exercises of 10: three errors, the neighbours' prices, the conformal margin; and its figures."""

import matplotlib.pyplot as plt
import numpy as np

from helpers import data, plotting, session
from helpers.backend import keras
from helpers.exercises import Exercise

errors = Exercise(
    "10-1",
    points=2,
    lesson="RMSE and MAE are in the unit of the price, and RMSE weighs large misses more.",
    hint=(
        "All three begin with the misses y - predicted. Which shape does that difference have?",
        "predicted.ravel() has the shape of y. Then: the mean of squares, its root, the mean size.",
        "mse = np.mean((y - predicted.ravel()) ** 2); its np.sqrt; np.mean(np.abs(...))",
    ),
)
RNG = np.random.default_rng(0)
PRICES = np.array([1.2, 3.4, 0.8, 2.5, 4.1])
FLAT = np.array([[1.5], [2.9], [0.9], [3.3], [3.6]])  # as model.predict returns it
errors.case("the text's example", np.array([1.0, 2.0, 4.0]), np.array([1.0, 4.0, 3.0]))
errors.case("5 prices, predicted as a column", PRICES, FLAT)
errors.case("4 prices, guessed too low", PRICES[:4], PRICES[:4] - np.array([0.1, 0.7, 0.2, 1.3]))


@errors.hidden("prices drawn at random, predicted as a column")
def _draw_prices(rng):
    n = int(rng.integers(10, 40))
    return rng.uniform(1, 5, n), rng.uniform(1, 5, (n, 1))


are_three = errors.rule("Return three numbers, in this order: MSE, RMSE, MAE.")(
    lambda result: np.size(result) == 3
)


around = Exercise(
    "10-2",
    points=2,
    lesson="A training district must not see its own price: no test district can.",
    hint=(
        "How can a district's own place in its row never be among the nearest?",
        "Add infinity to the diagonal of a copy; then np.argsort along the row, and the first k.",
        "order = np.argsort(distances + np.diag(np.full(n, np.inf)), axis=1)[:, :k]",
    ),
)
PLACES = np.array([[0.0, 0], [0, 1], [0, 1], [3, 0], [3, 2], [7, 1], [7, 7]])
APART = np.sqrt(((PLACES[:, None] - PLACES) ** 2).sum(axis=2))
COSTS = np.array([1.0, 2.0, 4.5, 3.0, 0.7, 5.0, 1.9])
around.case("the text's example", np.array([[0, 1, 5], [1, 0, 4], [5, 4, 0.0]]), COSTS[:3], 1)
around.case("7 districts, k = 2", APART, COSTS, 2)
around.case("7 districts, k = 3", APART, COSTS[::-1].copy(), 3)


@around.hidden("districts drawn at random")
def _draw_districts(rng):
    n, k = (int(number) for number in rng.integers([12, 3], [20, 6]))
    places = rng.normal(size=(n, 2))
    places[n // 2 :][:3] = places[:3]  # three pairs of districts at one place
    distances = np.linalg.norm(places[:, None] - places, axis=2)
    return distances, rng.uniform(0, 5, n), k


one_each = around.rule("Return one number for each district: shape (n,).")(
    lambda result, distances, *rest: np.shape(result) == (len(distances),)
)


margin = Exercise(
    "10-3",
    points=2,
    lesson="One more than n, rounded up: so a new district is as likely in as any of these.",
    hint=(
        "Sort the scores. At which place must the margin stand, so that the share lies below it?",
        "Place ceil((n + 1) * share), counted from 1; Python counts from 0. Is there such a place?",
        "rank = math.ceil((n + 1) * share); np.sort(scores)[rank - 1] if rank <= n else np.inf",
    ),
)
SCORES = np.array([0.31, 0.05, -0.2, 0.44, 0.12, 0.9, 0.02, 0.27, -0.11, 0.6])
margin.case("the text's example", np.array([3.0, 1.0, 2.0, 4.0]), 0.6)
margin.case("10 scores, 80 %", SCORES, 0.8)
margin.case("10 scores, 25 %", SCORES, 0.25)
margin.case("9 scores, 90 %", SCORES[:9], 0.9)
margin.case("4 scores, 90 %: too few", SCORES[:4], 0.9)


@margin.hidden("scores and a share drawn at random")
def _draw_scores(rng):
    n, part = int(rng.integers(20, 60)), rng.choice([0.3, 0.7])
    # (n + 1) * share is no whole number, for which two ways of rounding could differ
    return rng.normal(size=n), float((rng.integers(n // 2 + 3, n - 3) + part) / (n + 1))


@margin.hidden("too few scores, drawn at random")
def _draw_few(rng):
    n = int(rng.integers(3, 9))
    return rng.normal(size=n), float(rng.choice([0.9, 0.93, 0.95]))


# --- training


def fit(model, x, y, what, **settings):
    """Train a compiled model, with a bar over its epochs where a person watches.

    Parameters
    ----------
    model : keras.Model, compiled
    x : array of shape (n, features)
    y : array of shape (n,)
    what : str
        What is trained, for the bar.
    **settings
        As ``model.fit`` takes them, with ``epochs``.

    Returns
    -------
    dict of str to list of float
        The history: ``loss`` of each epoch, and what else was measured.

    Examples
    --------
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("adam", loss="mse")
    >>> list(fit(model, np.zeros((4, 1)), np.ones(4), "network", epochs=2))
    ['loss']
    """
    with session.progress_bar(settings["epochs"], what) as bar:
        count = keras.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: bar.update())
        return model.fit(x, y, verbose=0, callbacks=[count], **settings).history


# --- figures

PRICE = "median price (100,000 $)"

# RMSE on one fixed split, as quoted from the papers by Gorishniy and others, 2021 to 2025
PUBLISHED = {
    "MLP": 0.499,
    "FT-Transformer": 0.459,
    "XGBoost": 0.433,
    "CatBoost": 0.431,
    "TabM": 0.428,
    "TabR": 0.400,
}


def show_map(homes, x, values, title, label=PRICE, centre=None, name=None):
    """Draw one number for each district on the map.

    Parameters
    ----------
    homes : Dataset
        Says whether this is the stand-in.
    x : array of shape (n, 8)
    values : array of shape (n,)
    title, label : str
    centre : float, optional
        Of a palette with two ends, for differences. Without it the palette has one.
    name : str, optional
        Of the file.
    """
    figure, ax = plt.subplots(figsize=(7.2, 6.4))
    order = np.argsort(values if centre is None else np.abs(values - centre))
    latitude, longitude = (
        x[order, homes.feature_names.index(c)] for c in ("Latitude", "Longitude")
    )
    colours = {"cmap": "viridis"}
    if centre is not None:
        far = np.quantile(np.abs(values - centre), 0.98)
        colours = {"cmap": "RdBu_r", "vmin": centre - far, "vmax": centre + far}
    dots = ax.scatter(longitude, latitude, c=values[order], s=5, linewidths=0, **colours)
    figure.colorbar(
        dots, ax=ax, label=label, shrink=0.8, extend="both" if centre == 0 else "neither"
    )
    ax.set(xlabel="longitude (degrees)", ylabel="latitude (degrees)")
    ax.set_aspect(1 / np.cos(np.deg2rad(36)))  # a degree of longitude is shorter there
    _head(figure, homes, title)
    what, how = "price", "The brighter a dot, the dearer: the brightest are drawn last"
    if centre is not None:
        what, how = "error", "Red is priced too low, blue too high, and pale is nearly right"
    plotting.show(
        figure,
        f"A map of California made of dots, one for each district, coloured by {what}. {how}.",
        name=name,
    )


def show_distributions(homes, x, y):
    """Draw the histogram of each column and of the price.

    Parameters
    ----------
    homes : Dataset
    x : array of shape (n, 8)
    y : array of shape (n,)
    """
    figure, axes = plt.subplots(3, 3, figsize=(9.2, 6.8))
    columns = dict(zip(homes.feature_names, x.T, strict=True)) | {"price": y}
    for ax, (label, values) in zip(axes.flat, columns.items(), strict=True):
        most = np.quantile(values, 0.995)  # a few districts lie far beyond
        last = label == "price"
        ax.hist(
            values[values <= max(most, values.max() * last)], bins=40, color=plotting.COLOURS[last]
        )
        ax.set(xlabel=PRICE if last else label, yticks=[])
        ax.locator_params(axis="x", nbins=5)  # the numbers of neighbouring panels must not touch
    axes[1, 0].set_ylabel("number of districts")
    capped = session.percent(np.mean(y == y.max()), 1)
    _head(figure, homes, f"Eight columns, and the price: {capped} share the largest one")
    piled = [label for label, v in columns.items() if np.mean(v == v.max()) > 0.01]
    plotting.show(
        figure,
        "Nine histograms, one for each column and one for the price; the few values far to the "
        f"right are cut off. With a pile at the largest value: {', '.join(piled) or 'none'}.",
    )


def show_curves(homes, history):
    """Draw the training and the validation loss of each epoch.

    Parameters
    ----------
    homes : Dataset
    history : dict of str to list of float
        As Keras gives it: ``loss`` and ``val_loss``.
    """
    figure, ax = plt.subplots(figsize=(7.4, 4))
    epochs = np.arange(1, 1 + len(history["loss"]))
    series = {"training": history["loss"], "validation": history["val_loss"]}
    plotting.lines(ax, epochs, series, "epoch", "MSE (log scale)", "", label_at_end=False)
    ax.set_yscale("log")
    best = 1 + int(np.argmin(history["val_loss"]))
    _head(figure, homes, f"The validation loss is lowest in epoch {best} of {len(epochs)}")
    side = "above" if history["val_loss"][-1] > history["loss"][-1] else "below"
    plotting.show(
        figure,
        "Training and validation loss over the epochs, on a logarithmic scale. At the end the "
        f"validation loss lies {side} the training loss.",
    )


def show_ranking(ours, published):
    """Draw errors of models over several splits beside published ones.

    Parameters
    ----------
    ours : dict of str to sequence of float
        Model -> RMSE on each split; may be empty sequences.
    published : dict of str to float
    """
    rows = {name: list(values) for name, values in ours.items() if len(values)}
    rows |= {f"{name} (published)": [value] for name, value in published.items()}
    order = sorted(rows, key=lambda name: -np.mean(rows[name]))
    figure, ax = plt.subplots(figsize=(8.4, 0.36 * len(order) + 1.3))
    for place, name in enumerate(order):
        ours_too = not name.endswith("(published)")
        face = plotting.COLOURS[0] if ours_too else "white"
        edge = plotting.COLOURS[0] if ours_too else plotting.COLOURS[1]
        values = np.array(rows[name])
        ax.scatter(
            values, np.full(len(values), place), s=34, facecolor=face, edgecolor=edge, alpha=0.8
        )
    ax.invert_yaxis()
    ax.set(yticks=range(len(order)), yticklabels=order, xlabel="RMSE on test districts (100,000 $)")
    title = "Further left is better. Dots: our splits; rings: published, on one other split"
    figure.suptitle(title, x=0.01, ha="left", fontsize=12)
    plotting.show(
        figure,
        "A ranking of models by their error, ours as one dot for each split, published ones as a "
        f"ring, from the largest at the top to the least at the bottom: {'; '.join(order)}.",
        name="10_ranking",
    )


def show_errors(homes, y, predicted):
    """Draw predicted against true prices, and the residuals.

    Parameters
    ----------
    homes : Dataset
    y, predicted : arrays of shape (n,)
    """
    figure, (left, right) = plt.subplots(1, 2, figsize=(9.2, 4.4))
    style = {"s": 5, "alpha": 0.35, "linewidths": 0, "color": plotting.COLOURS[0]}
    left.scatter(y, predicted, **style)
    left.axline((0, 0), slope=1, color="black", linewidth=1)
    left.set(xlabel=f"true {PRICE}", ylabel=f"predicted {PRICE}", title="predicted against true")
    right.scatter(predicted, y - predicted, **style)
    right.axhline(0, color="black", linewidth=1)
    right.set(xlabel=f"predicted {PRICE}", ylabel="true − predicted", title="residuals")
    cheap, dear = (np.std((y - predicted)[part]) for part in _ends(predicted))
    title = f"Residuals spread by {cheap:.2f} in the cheapest fifth of the predictions"
    _head(figure, homes, f"{title}, by {dear:.2f} in the dearest")
    opens = "opens" if dear > cheap else "closes"
    plotting.show(
        figure,
        "Left, predicted against true prices, with a black diagonal where both are equal. Right, "
        f"residuals against predictions: a fan that {opens} towards dear districts. The cap of the "
        "prices is a column of dots on the left and a slanting upper edge on the right.",
    )


def _ends(values):
    """Which rows are in the lowest, and which in the highest fifth."""
    low, high = np.quantile(values, [0.2, 0.8])
    return values <= low, values >= high


def show_coverage(homes, coverage, wanted):
    """Draw the coverage of intervals for each fifth of the prices.

    Parameters
    ----------
    homes : Dataset
    coverage : dict of str to array of shape (5,)
        Kind of interval -> share of districts that it holds, cheapest fifth first.
    wanted : float
    """
    figure, ax = plt.subplots(figsize=(7.4, 4.2))
    plotting.lines(
        ax,
        np.arange(1, 6),
        coverage,
        "fifth of the true prices (1: cheapest)",
        "share inside its interval",
        "",
        label_at_end=False,
    )
    ax.axhline(wanted, color="black", linewidth=1, linestyle="--")
    ax.set(xticks=range(1, 6), ylim=(min(0.5, *map(min, coverage.values())), 1.01))
    last = [session.percent(held[-1]) for held in coverage.values()]
    title = f"Asked for {session.percent(wanted)}, held in the dearest fifth: {' and '.join(last)}"
    _head(figure, homes, title)
    kinds = sorted(coverage, key=lambda kind: coverage[kind][-1])
    plotting.show(
        figure,
        "Coverage of intervals by fifth of the true price; a dashed line marks the share that was "
        f"asked for. From the lowest to the highest in the dearest fifth: {', '.join(kinds)}.",
    )


def show_walks(homes, results, believed):
    """Draw how far from real districts invented ones lie, and what a second model says of them.

    Parameters
    ----------
    homes : Dataset
    results : dict of str to (distance, price)
        Way -> two arrays of shape (n,): the distance to the nearest training district, and the
        price that a second model gives.
    believed : float
        The price that the network was walked to.
    """
    figure, ax = plt.subplots(figsize=(7.6, 4.6))
    markers = "ovsD^"
    ways = sorted(results, key=lambda way: np.median(results[way][0]))
    for place, (way, (distance, price)) in enumerate(results.items()):
        style = {
            "color": plotting.COLOURS[place],
            "marker": markers[place % 5],
            "s": 42,
            "alpha": 0.8,
        }
        ax.scatter(distance, price, label=way, linewidths=0, **style)
    ax.axhline(believed, color="black", linewidth=1, linestyle="--")
    ax.set(xlabel="distance to the nearest real district (quartile ranges)", xlim=(0, None))
    ax.set_ylabel("second model's price (100,000 $)")
    ax.legend(frameon=False, fontsize=9)
    _head(figure, homes, "Walked until the network believes the dashed line: who else does?")
    plotting.show(
        figure,
        "Districts by their distance to the nearest real one and the price that a second model "
        "gives them; a dashed line marks what the network believes of the walks. From the nearest "
        f"to the furthest: {', '.join(ways)}.",
        name="10_walks",
    )


def _head(figure, homes, title):
    made_up = homes.profile == "lite" and data.describe(homes.name).stand_in
    figure.suptitle(
        ("STAND-IN, made-up data · " if made_up else "") + title, x=0.01, ha="left", fontsize=12
    )


def price_table(table):
    """Format a table of errors: names in rows, three digits.

    Parameters
    ----------
    table : pandas DataFrame

    Returns
    -------
    pandas Styler
    """
    return table.style.format("{:.3f}", na_rep="–")
