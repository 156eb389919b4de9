"""Controls below a cell: the picture follows them, and without them a cell shows one picture."""

import asyncio
import io
from types import SimpleNamespace

import numpy as np
import pytest
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_notebook
from PIL import Image

from helpers import inversion, live, neighbours, session
from helpers.backend import keras
from helpers.data import read_sample


@pytest.fixture(scope="module")
def digits():
    sample = read_sample("mnist")
    first = [np.flatnonzero(sample["y_test"] == digit)[0] for digit in range(10)]
    return np.float32(sample["x_test"][first][..., None] / 255)


@pytest.fixture(scope="module")
def networks(digits):
    """Two linear networks, each with the ten digits as its weights."""

    def network(sharpness):
        model = keras.Sequential(
            [
                keras.Input((28, 28, 1)),
                keras.layers.Flatten(),
                keras.layers.Dense(10, activation="softmax"),
            ]
        )
        flat = digits.reshape(10, -1)
        model.set_weights([sharpness * flat.T, -sharpness * (flat**2).sum(axis=1) / 2])
        return model

    return {"sharp": network(0.5), "soft": network(0.1)}


@pytest.fixture
def shown(monkeypatch):
    """What was shown where nobody can move a slider: pairs of picture and words."""
    pictures = []
    monkeypatch.setattr(live.plotting, "show_png", lambda *picture: pictures.append(picture))
    return pictures


@pytest.fixture
def panel(monkeypatch):
    """Return a function that calls one of `live` where somebody can move its sliders."""
    monkeypatch.setattr(session, "has_controls", lambda: True)
    monkeypatch.setattr(live, "SECONDS", 0)
    monkeypatch.setattr(live, "REST", 0)
    monkeypatch.setattr("IPython.display.display", lambda box: None)
    made, begin = [], live._Panel.__init__

    def note(self, *how):
        made.append(self)
        begin(self, *how)

    monkeypatch.setattr(live._Panel, "__init__", note)

    def call(function, *arguments, **settings):
        function(*arguments, **settings)
        return made[-1]

    yield call
    live._Panel.running = None


async def end():
    """Wait until the walk has ended that runs."""
    await asyncio.sleep(0)  # until it has begun
    await live._Panel.running


def tile(png, left, top, side):
    """Read an image of 28 x 28 pixels off a picture, in [0, 1]."""
    sheet = np.asarray(Image.open(io.BytesIO(png)).convert("L"), np.float32) / 255
    step = side // 28
    return sheet[top : top + side, left : left + side][step // 2 :: step, step // 2 :: step]


def now(png):
    """Read the large image of a walk."""
    return tile(png, 0, 52, 280)


def close(image, other):
    return np.abs(image - np.squeeze(other)).max() < 0.01


# --- where nobody can move anything


def test_without_controls_a_cell_shows_the_end_of_one_walk(networks, digits, shown):
    steps = {"learning_rate": 0.3, "max_steps": 30, "blur_every": 4, "decay": 0.01}
    live.walk(networks, digits, source=4, target=7, **steps)
    [(png, words)] = shown
    assert close(now(png), inversion.invert(networks["sharp"], digits[[4]], 7, **steps).images)
    assert close(tile(png, 304, 52, 112), digits[4])
    assert words.startswith("A real 4 on its way to 7 through sharp, large, beside the start")
    assert "Seen as 7 by sharp, soft." in words


def test_the_walk_by_votes_is_that_of_the_library(networks, digits, shown):
    index = neighbours.NeighbourIndex(np.concatenate([digits] * 3), np.tile(np.arange(10), 3))
    how = {"k": 4, "mask": 0.4, "max_steps": 12, "learning_rate": 0.2, "stop_at": 0.7}
    live.votes(index, networks, digits, source=4, target=9, **how)
    [(png, words)] = shown
    expected = neighbours.invert(index, digits[[4]], 9, **how)
    assert close(now(png), expected.images)
    near = index.images[index.search(expected.images, 4)[1][0]]
    assert all(close(tile(png, 66 * column, 364, 56), image) for column, image in enumerate(near))
    assert words.startswith("A real 4 on its way to 9 through k-NN, large")


@pytest.fixture
def written(monkeypatch):
    """Every text that is written on a picture."""
    texts, write = [], live._Canvas.text
    monkeypatch.setattr(
        live._Canvas,
        "text",
        lambda self, *how, **more: texts.append(how[2]) or write(self, *how, **more),
    )
    return texts


def test_a_threshold_keeps_the_images_that_reach_it(digits, shown, written):
    p = np.float32([[0.9, 0.1], [0.1, 0.9], [0.4, 0.6], [0.7, 0.3]])  # 0.9 is less in float32
    live.threshold({"CNN": p}, [0, 0, 1, 1], digits[:4])
    assert "Keeping 50.0 % of the images, CNN makes 1 mistake" in written
    assert [text for text in written if "mistake" in text and "(" in text] == [
        "with 1 mistake (50.00 %)",
        "with 1 mistake (50.00 %)",
        "with 2 mistakes (50.00 %)",
    ]
    [(png, _)] = shown
    kept = [tile(png, 66 * column, 52, 56) for column in range(2)]
    assert close(kept[0], digits[0]) and close(kept[1], digits[1])
    refused = [tile(png, 66 * column, 152, 56) for column in range(2)]  # the nearest first
    assert close(refused[0], digits[3]) and close(refused[1], digits[2])


def test_digits_must_be_one_of_each_class(networks, digits):
    with pytest.raises(ValueError, match="digits must be ten images, one of each class, not 9"):
        live.walk(networks, digits[:9])
    with pytest.raises(ValueError, match="target must be a whole number, from 0 to 9, not 10"):
        live.walk(networks, digits, target=10)


@pytest.mark.parametrize("watched", [True, False])
@pytest.mark.parametrize("wrong", [{"decay": 2}, {"max_steps": 0}, {"learning_rate": -1}])
def test_wrong_settings_are_refused_before_anything_is_shown(
    networks, digits, monkeypatch, watched, wrong
):
    monkeypatch.setattr(session, "has_controls", lambda: watched)
    with pytest.raises(ValueError, match=f"{next(iter(wrong))} must be"):
        live.walk(networks, digits, **wrong)


def test_somebody_must_be_asked(digits):
    with pytest.raises(ValueError, match="networks must name one network or more"):
        live.walk({}, digits)
    with pytest.raises(ValueError, match="p must name one model or more"):
        live.threshold({}, np.arange(10), digits)


@pytest.mark.parametrize(
    ("watched", "front_end", "widgets", "expected"),
    [
        (True, {"_allow_stdin": True}, True, True),
        (True, {}, True, True),  # a kernel that does not say
        (True, {"_allow_stdin": False}, True, False),
        (True, {"_allow_stdin": True}, False, False),
        (False, {"_allow_stdin": True}, True, False),
    ],
)
def test_there_are_controls_where_somebody_can_move_them(
    monkeypatch, watched, front_end, widgets, expected
):
    kernel = SimpleNamespace(kernel=SimpleNamespace(**front_end))
    monkeypatch.setattr(session, "interactive", lambda: watched)
    monkeypatch.setattr("IPython.get_ipython", lambda: kernel)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: widgets or None)
    assert session.has_controls() is expected


def test_a_program_that_runs_a_notebook_is_shown_a_picture(monkeypatch):
    """Any program: it knows nothing of the course's variables."""
    for variable in ("COURSE_RUN", "PYTEST_CURRENT_TEST"):
        monkeypatch.delenv(variable, raising=False)
    code = (
        "import sys\nimport numpy as np\nfrom helpers import session\n"
        "print(session.interactive(), session.has_controls())\n"
        "sys.modules['ipywidgets'] = None  # as if it were missing\n"
        "from helpers import live\n"
        "live.threshold({'CNN': np.eye(2)}, [0, 1], np.zeros((2, 28, 28, 1)))"
    )
    book = new_notebook(cells=[new_code_cell(code)])
    NotebookClient(book, timeout=300, kernel_name="python3").execute()
    *printed, picture = book.cells[0].outputs
    assert "True False" in "".join(output.text for output in printed)
    assert {output.name for output in printed} == {"stdout"}
    assert picture.data.keys() == {"image/png", "text/plain"}
    assert picture.metadata["image/png"]["alt"].startswith("Below 0.9, CNN may refuse.")
    assert "widgets" not in book.metadata


# --- where somebody moves them


def test_a_moved_slider_changes_picture_and_words(panel, networks, digits):
    async def move():
        seen = panel(live.walk, networks, digits, max_steps=20)
        await end()
        first = seen.picture.value
        assert "6 on its way to 3" in seen.words.value
        seen.controls["target"].value = 8
        await end()
        assert seen.picture.value != first
        assert "6 on its way to 8" in seen.words.value
        assert seen.picture.tooltip in seen.words.value
        expected = inversion.invert(networks["sharp"], digits[[6]], 8, max_steps=20)
        assert close(now(seen.picture.value), expected.images)

    asyncio.run(move())


def test_a_control_may_speak_in_another_thread(panel, networks, digits):
    """JupyterLab's do; the walk stays in the thread of the cell, and there is one."""

    async def move():
        seen = panel(live.walk, networks, digits, max_steps=20)
        await end()
        await asyncio.to_thread(setattr, seen.controls["target"], "value", 8)
        await end()
        assert "on its way to 8" in seen.words.value

    asyncio.run(move())


def test_every_control_is_named_and_has_its_part(panel, networks, digits):
    async def move():
        seen = panel(live.walk, networks, digits, max_steps=20, decay=0.02)
        labels = [control.description for control in seen.controls.values()]
        assert labels == ["start", "target class", "network", "learning rate η", "steps"]
        await end()
        to = {
            "start": "near black",
            "target": 5,
            "network": "soft",
            "learning_rate": 1,
            "max_steps": 30,
        }
        for name, value in to.items():
            seen.controls[name].value = value
        await end()
        start = inversion.near_black(1, 0)
        how = {"learning_rate": 1, "max_steps": 30, "decay": 0.02}
        expected = inversion.invert(networks["soft"], start, 5, **how)
        assert close(now(seen.picture.value), expected.images)

    asyncio.run(move())


def test_controls_begin_where_the_notebook_does(panel, networks, digits):
    async def begin():
        seen = panel(live.walk, networks, digits, learning_rate=0.15, max_steps=5)
        assert seen.controls["learning_rate"].value == 0.15
        assert seen.controls["max_steps"].value == 5

    asyncio.run(begin())


def test_one_walk_runs_at_a_time(panel, networks, digits, monkeypatch):
    """Whatever is moved, and when a cell is run again: nothing piles up."""
    drawn, draw = [], live._Walk.draw

    def note(self, taken, *rest):
        drawn.append((self, taken))
        return draw(self, taken, *rest)

    monkeypatch.setattr(live._Walk, "draw", note)

    async def move():
        seen = panel(live.walk, networks, digits, max_steps=40)
        while len(drawn) < 3:
            await asyncio.sleep(0)
        for target in range(4, 10):
            seen.controls["target"].value = target
        while len(drawn) < 6:
            await asyncio.sleep(0)
        panel(live.walk, networks, digits, max_steps=20)
        await end()
        seen.again.click()
        await end()

    asyncio.run(move())
    walks = list(dict.fromkeys(walk for walk, _ in drawn))
    taken = [[steps for one, steps in drawn if one == walk] for walk in walks]
    assert [steps[-1] for steps in taken[2:]] == [20, 40]
    assert len(walks) == 4 and max(len(steps) for steps in taken[:2]) < 10
    assert drawn == sorted(drawn, key=lambda one: walks.index(one[0])), "two walks at once"


def test_an_error_is_shown_to_the_person(panel, networks, digits):
    async def move():
        seen = panel(live.walk, networks | {"odd": lambda x: 1 / 0}, digits, max_steps=10)
        await end()
        assert 'role="alert"' in seen.words.value
        assert "ZeroDivisionError: division by zero" in seen.words.value

    asyncio.run(move())


def test_a_threshold_has_nothing_to_see_once_more(panel, digits):
    async def begin():
        p = 0.1 + 0.6 * np.eye(4)
        seen = panel(live.threshold, {"CNN": p}, np.arange(4), digits[:4])
        assert seen.again not in seen.box.children[0].children
        assert [one.description for one in seen.controls.values()] == ["threshold of m(x)", "model"]
        await end()
        first = seen.picture.value
        seen.controls["threshold"].value = 0.5
        await end()
        assert seen.picture.value != first
        assert "Below 0.5, CNN may refuse. Keeping 100" in seen.words.value

    asyncio.run(begin())
