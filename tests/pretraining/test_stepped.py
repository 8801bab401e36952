"""Methods that write their step themselves, by the example of CONTRIBUTING.md as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from minienc.cli import main
from minienc.models import load_model
from minienc.pretraining import METHODS
from minienc.training.callbacks import LambdaCallback
from minienc.training.step import NonFiniteError

PAGE = Path(__file__).parents[2] / "CONTRIBUTING.md"


@pytest.fixture
def sanger(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (code,) = [block for block in blocks if "class Sanger" in block]
    assert len(code.splitlines()) < 70
    module: dict = {"__name__": "sanger"}
    exec(compile(code, "CONTRIBUTING.md", "exec"), module)
    monkeypatch.setitem(METHODS, "sanger", module["Sanger"])
    return module["Sanger"]


def correlated(n=400, seed=0):
    rng = np.random.default_rng(seed)
    axes, _ = np.linalg.qr(rng.standard_normal((6, 6)))
    return rng.standard_normal((n, 6)) * [3, 2, 1, 0.3, 0.2, 0.1] @ axes.T


def test_it_finds_principal_components(sanger):
    X = correlated()
    method = sanger(n_components=3, epochs=200, batch_size=40, random_state=0).fit(X)
    W = method.encoder_.get_weights()[0]
    _, _, axes = np.linalg.svd(X, full_matrices=False)
    np.testing.assert_allclose(np.abs(axes[:3] @ W), np.eye(3), atol=0.1)
    assert method.history_["loss"][-1] < method.history_["loss"][0]


def test_a_killed_run_goes_on_to_the_same_bits(sanger, tmp_path):
    class Killed(Exception):
        pass

    X = correlated(60)
    make = lambda: sanger(n_components=2, epochs=4, batch_size=16, random_state=3)  # noqa: E731
    whole = make().fit(X, validation_data=X[:10])
    assert set(whole.history_) == {"loss", "val_loss"}
    for n in (1, 5, 9, 14):
        count = iter(range(n))

        def die(*_, count=count):
            if next(count, None) is None:
                raise Killed

        stop = LambdaCallback(on_train_batch_end=die)
        folder = tmp_path / str(n)
        with pytest.raises(Killed):
            make().fit(X, validation_data=X[:10], checkpoint_dir=folder, callbacks=[stop])
        method = make().fit(
            X,
            validation_data=X[:10],
            checkpoint_dir=folder,
            resume=True,
            callbacks=[LambdaCallback()],
        )
        np.testing.assert_array_equal(
            whole.encoder_.get_weights()[0], method.encoder_.get_weights()[0]
        )
        assert method.history_ == whole.history_


def test_a_loss_that_is_no_number_stops_it(sanger):
    with pytest.raises(NonFiniteError, match=r"loss is (nan|inf)"):
        sanger(learning_rate=1e4, epochs=50, random_state=0).fit(correlated())


def test_the_command_line_takes_its_parameters(sanger, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    words = ["pretrain", "--method", "sanger", "--epochs", "2", "--labels", "10", "--seeds", "1"]
    assert main([*words, "--n-components", "5", "digits", "--out", "run", "--quiet"]) == 0
    assert load_model("run/encoder.npz").outputs[0].sample_shape == (5,)
    page = Path("run/report.html").read_text()
    assert "--n-components 5" in page and "no way back from codes" in page
    capsys.readouterr()
    for wrong, sentence in (
        (["--hidden", "3"], "--hidden is not for --method sanger, which takes --n-components"),
        (["--n-component", "3"], "--n-component is no option; --n-components is"),
        (["--n-components", "many"], "--n-components is 'many', expected such as 8"),
        (["--n-components"], "--n-components needs a value"),
    ):
        assert main([*words, *wrong]) == 2
        assert sentence in capsys.readouterr().err
