"""The page: what it says, that it stands alone, and that it is the same for the same run."""

from __future__ import annotations

import numpy as np
import pytest

from minienc.finetuning.curve import FewLabelCurve
from minienc.report import RunReport, render, write_report
from minienc.verdicts import few_label_verdicts, reconstruction_verdict
from tests.test_cli import Balance

RNG = np.random.default_rng(0)


def curve(pretrained, control, labels=(10, 100)):
    arms = {"pretrained, fine-tuned": np.array(pretrained), "random weights": np.array(control)}
    return FewLabelCurve(labels, arms, tuple(range(len(pretrained[0]))))


def report(**changes):
    images = RNG.random((6, 16))
    given = dict(
        title="autoencoder on digits",
        command="minienc pretrain digits --out runs/1",
        step="minienc step runs/1",
        config={"seed": 0},
        dataset="digits",
        source="somewhere",
        n_train=100,
        n_test=20,
        method="autoencoder",
        history={"loss": [3.0, 2.0], "val_loss": [3.1, float("nan")]},
        errors=[("mean sample", 4.0), ("PCA, 2 components", 2.0), ("autoencoder", 1.0)],
        sample_shape=(4, 4),
        originals=images,
        restored=images * 0.5,
        filters=RNG.standard_normal((16, 5)),
        codes_2d=RNG.standard_normal((30, 2)),
        labels=np.arange(30) % 3,
        class_names=("a", "b", "c"),
        few_label=curve([[0.5, 0.6], [0.8, 0.9]], [[0.4, 0.5], [0.8, 0.9]]),
        seconds=3.0,
        summary_text="Model",
    )
    return RunReport(**{**given, **changes})


def check_page(page):
    parser = Balance()
    parser.feed(page)
    assert parser.open == [] and parser.fetched == []
    assert "<script" not in page and "@import" not in page


def test_the_page_stands_alone(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, report())
    page = path.read_text(encoding="utf-8")
    check_page(page)
    assert page.count("<figure") == 5
    assert "minienc pretrain digits --out runs/1" in page


def test_the_same_run_gives_the_same_bytes():
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state
    one = render(report())
    RNG.bit_generator.state = np.random.default_rng(1).bit_generator.state
    assert render(report()) == one


@pytest.mark.parametrize(
    "missing",
    [
        {"few_label": None, "labels": None},
        {"sample_shape": (16,), "originals": None, "restored": None, "filters": None},
        {"codes_2d": None},
        {"noisy": np.ones((6, 16))},
        {"sample_shape": (2, 2, 4)},
        {
            "sample_shape": (2, 2, 3),
            "originals": RNG.random((6, 12)),
            "restored": RNG.random((6, 12)),
            "filters": RNG.standard_normal((12, 100)),
        },
        {"history": {"loss": [1.0]}},
        {"class_names": None, "labels": np.arange(30)},
    ],
)
def test_what_is_missing_is_left_out(missing):
    check_page(render(report(**missing)))


def test_hostile_names_stay_text():
    evil = "<script>alert(1)</script>"
    page = render(
        report(title=evil, command=evil, dataset=evil, source=evil, class_names=(evil, "&", '"'))
    )
    check_page(page)
    assert "&lt;script&gt;" in page


def test_few_labels_in_words():
    steady = np.array([0.70, 0.71, 0.72, 0.71, 0.70])
    uneven, nearly = np.array([[0.1, -0.1, 0.1, -0.1, 0.01], [0, 0.001, 0, 0.001, 0]])
    said = few_label_verdicts(
        curve(
            [steady + 0.05, steady - 0.05, steady + uneven],
            [steady + nearly] * 3,
            labels=(10, 100, 1000),
        )
    )
    assert "With 10 labels pretraining helped: +5.0" in said[0]
    assert "With 100 labels pretraining hurt: -5.0" in said[1]
    assert "With 1,000 labels pretraining made no visible difference" in said[2]
    one_seed = few_label_verdicts(curve([[0.9]], [[0.1]], labels=(10,)))
    assert "no visible difference" in one_seed[0] and "one seed" in one_seed[0]


def test_the_interval_is_students():
    stats = pytest.importorskip("scipy.stats")
    from minienc.verdicts import _STUDENT_T, _interval

    for n, t in enumerate(_STUDENT_T, 2):
        assert t == pytest.approx(stats.t.ppf(0.975, n - 1), abs=6e-3)
    values = RNG.standard_normal(5)
    low, high = stats.t.interval(0.95, 4, values.mean(), stats.sem(values))
    assert _interval(values) == pytest.approx((high - low) / 2, rel=2e-3)


def test_reconstruction_in_words():
    baselines = [("mean sample", 4.0), ("PCA, 2 components", 2.0)]
    assert "2 times better than PCA" in reconstruction_verdict([*baselines, ("it", 1.0)])
    assert "worse than PCA" in reconstruction_verdict([*baselines, ("it", 3.0)])
    assert "learned nothing" in reconstruction_verdict([*baselines, ("it", 5.0)])
    assert "failed" in reconstruction_verdict([*baselines, ("it", float("nan"))])
