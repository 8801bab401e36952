"""What objects show in a notebook: tables of text, in which nothing is markup."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import numpy as np

from minienc.data import Dataset
from minienc.finetuning.curve import FewLabelCurve
from minienc.layers import Dense, Input
from minienc.models import Model, Sequential
from minienc.notebook import html_table
from minienc.training.callbacks import History

X = np.random.default_rng(0).random((12, 4))


def cells(shown):
    """The texts of each row of the table, by a parser that refuses what is not well formed."""
    table = ElementTree.fromstring(shown._repr_html_())
    return [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]


def test_markup_in_a_name_is_text():
    table = ElementTree.fromstring(html_table(["<b>"], [["a & b"]], "<i>"))
    assert "".join(table.itertext()) == "<i><b>a & b"


def test_a_model_shows_its_layers():
    x = Input((4,))
    model = Model(x, Dense(4, "relu", name="<first>")(x))
    rows = cells(model)
    assert rows[0][:2] == ["layer", "kind"] and rows[2][:2] == ["<first>", "Dense relu"]
    assert "20 parameters" in model._repr_html_()
    assert "no shape yet" in Sequential([Dense(3)])._repr_html_()


def test_a_history_shows_its_epochs():
    model = Sequential([Input((4,)), Dense(4)])
    model.compile("sgd", "mse", metrics=["mae"])
    history = model.fit(X, X, epochs=50, verbose=0)
    rows = cells(history)
    assert rows[0] == ["epoch", "loss", "mae"] and rows[-1][0] == "50"
    assert len(rows) <= 21 and rows[-1][1] == f"{history.history['loss'][-1]:.5g}"
    assert cells(History()) == [["epoch"]]


def test_a_curve_shows_its_table():
    curve = FewLabelCurve((10, 100), {"one": np.array([[0.5, 0.7], [0.8, 0.8]])}, (0, 1))
    assert cells(curve)[1] == ["one", "60.0 ± 14.1", "80.0 ± 0.0"]
    assert curve.table().splitlines()[-1] == "| one | 60.0 ± 14.1 | 80.0 ± 0.0 |"
    assert curve.measure == "mean and standard deviation over 2 seeds"
    alone = FewLabelCurve((10,), {"one": np.array([[0.5]])}, (0,))
    assert cells(alone)[1] == ["one", "50.0"] and "no spread is known" in alone.measure


def test_a_data_set_shows_what_it_holds():
    data = Dataset("flowers", X, np.arange(12) % 3, source="a garden").split()
    rows = cells(data)
    assert rows[0] == ["flowers", "a garden"]
    assert ["labels", "3 classes"] in rows and len(rows) == 5
