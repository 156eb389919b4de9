"""California Housing: 20,640 districts of the census of 1990, with the median price of a house."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np

from helpers.data.source import NotUsable, Source, reading

ROWS, COLUMNS = 20_640, 9  # of the table as it is kept: the price first, then the eight features
BYTES = 8 * ROWS * COLUMNS
HEAD = 1_000  # what stands before the numbers in the file is shorter than this


def read(folder):
    """Read ``scikit_learn_data/cal_housing_py3.pkz``, the file that scikit-learn keeps.

    It is a compressed pickle, and a pickle can run any program. So nothing is unpickled: the
    numbers are its last bytes before the full stop that ends a pickle, column by column.
    """
    path = folder / "scikit_learn_data" / "cal_housing_py3.pkz"
    with reading(path, BYTES):
        content = zlib.decompressobj().decompress(path.read_bytes(), BYTES + HEAD)
        if len(content) <= BYTES:
            raise NotUsable(
                f"{path.name} holds {len(content):,} bytes, expected more than {BYTES:,}."
            )
    table = np.frombuffer(content[-1 - BYTES : -1], "<f8").reshape(COLUMNS, ROWS).T
    price, income, age, rooms, bedrooms, people, households, latitude, longitude = table.T
    features = [income, age, rooms / households, bedrooms / households, people]
    features += [people / households, latitude, longitude]
    return _cut(np.column_stack(features), price / 100_000)


def fetch(folder):
    """Download it through ``sklearn.datasets``."""
    from sklearn.datasets import fetch_california_housing

    return _cut(*fetch_california_housing(data_home=folder, n_retries=1, return_X_y=True))


def _cut(x, y):
    """Keep a random fifth as the test part, because the table is in the order of the map."""
    # the generator whose numbers never change, as in train_test_split(random_state=0)
    order = np.random.RandomState(0).permutation(len(x))
    n_test = len(x) // 5
    parts = {"x_test": x[order[:n_test]], "y_test": y[order[:n_test]]}
    parts |= {"x_train": x[order[n_test:]], "y_train": y[order[n_test:]]}
    return {key: values.astype(np.float32) for key, values in parts.items()}


SOURCE = Source(
    title="California Housing",
    task="regression",
    shape=(8,),
    rows={"full": (16_512, 4_128), "lite": (3_200, 800)},
    sha256={
        "full": "c76eacf9361669fd27b1747fec7bab3908ad7a29ead3e9bc9c525a13fbb8f753",
        "lite": "df876b89d8fa782b257c6bacfffca1fd01549b3e4e44e2f7e8be3860e59239f7",
    },
    file="scikit_learn_data/cal_housing_py3.pkz",
    read=read,
    url="https://ndownloader.figshare.com/files/5976036",
    download=441_963,
    fetch=fetch,
    library="scikit-learn",
    library_folder=Path.home,
    feature_names=(
        "MedInc",
        "HouseAge",
        "AveRooms",
        "AveBedrms",
        "Population",
        "AveOccup",
        "Latitude",
        "Longitude",
    ),
    stand_in=True,
)
