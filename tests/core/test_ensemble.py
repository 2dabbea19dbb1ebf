"""Ensembles compute what they say, from members that belong together."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from mien.core.ensemble import Ensemble, EnsembleSpec, combine, member_logs
from mien.core.errors import ConfigError, ModelError
from mien.core.expression import FER2013, SIX
from mien.core.predictor import Predictor, Shown, TenCropped, softmax
from mien.core.preprocess import InputSpec
from mien.core.schema import from_mapping


@dataclass
class Toy:
    """A predictor whose logits are a linear function of the crop's corners and middle."""

    name: str = "toy"
    seed: int = 0
    labels: tuple = FER2013
    input: InputSpec = field(default_factory=InputSpec)
    temperature: float = 1.0
    parameters: int = 10
    seen: tuple = ()

    @property
    def identity(self):
        return f"{self.seed:064d}"

    def logits(self, crops):
        rng = np.random.default_rng(self.seed)
        flat = crops.reshape(len(crops), 48 * 48)[:, ::37].astype(np.float32) / 255
        return (flat @ rng.normal(size=(flat.shape[1], len(self.labels)))).astype(np.float32)


CROPS = np.random.default_rng(5).integers(0, 256, (6, 48, 48), dtype=np.uint8)


def spec(members, **further):
    return EnsembleSpec(tuple(m.name for m in members), tuple(m.identity for m in members), **further)


MEMBERS = [Toy("a", 1), Toy("b", 2, temperature=2.0), Toy("c", 3)]


def test_the_mean_is_of_calibrated_probabilities():
    made = Ensemble(MEMBERS, spec(MEMBERS), name="trio")
    expected = np.mean([softmax(m.logits(CROPS), m.temperature) for m in MEMBERS], axis=0)
    np.testing.assert_allclose(softmax(made.logits(CROPS)), expected, atol=1e-6)
    assert isinstance(made, Predictor)
    assert isinstance(made, Shown)
    assert made.parameters == 30
    assert made.shown == "ensemble of 3, mean"
    assert made.logits(CROPS[:0]).shape == (0, 7)


def test_weights_are_shares_of_probabilities():
    made = Ensemble(MEMBERS, spec(MEMBERS, combine="weighted", weights=(0.5, 0.2, 0.3)), name="trio")
    parts = [softmax(m.logits(CROPS), m.temperature) * w for m, w in zip(MEMBERS, (0.5, 0.2, 0.3), strict=True)]
    np.testing.assert_allclose(softmax(made.logits(CROPS)), sum(parts), atol=1e-6)


def test_a_stack_is_a_linear_layer_on_log_probabilities():
    rng = np.random.default_rng(0)
    matrix, bias = rng.normal(size=(7, 21)), rng.normal(size=7)
    stacked = spec(MEMBERS, combine="stacked", matrix=tuple(map(tuple, matrix.tolist())), bias=tuple(bias.tolist()))
    logs = member_logs(MEMBERS, CROPS)
    np.testing.assert_allclose(combine(logs, stacked), logs.reshape(6, 21) @ matrix.T + bias, atol=1e-3)


def test_it_survives_its_file(tmp_path):
    written = spec(MEMBERS, combine="weighted", weights=(0.5, 0.2, 0.3), fitted_on="9 rows")
    written.write(tmp_path / "trio.ensemble.json")
    assert EnsembleSpec.read(tmp_path / "trio.ensemble.json") == written


def test_its_identity_follows_from_members_and_weights():
    made = {
        Ensemble(MEMBERS, spec(MEMBERS), name="x").identity,
        Ensemble(MEMBERS, spec(MEMBERS, combine="weighted", weights=(0.5, 0.2, 0.3)), name="x").identity,
        Ensemble(MEMBERS[:2], spec(MEMBERS[:2]), name="x").identity,
    }
    assert len(made) == 3
    moved = replace(spec(MEMBERS), members=("elsewhere/a", "b", "c"))
    assert Ensemble(MEMBERS, moved, name="x").identity in made


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (Toy("b", 9, labels=SIX), "b gives .* a gives .* the same expressions"),
        (Toy("b", 9, input=InputSpec(size=64)), "b takes crops of .*size=64.* the same crops"),
    ],
)
def test_members_that_do_not_fit_are_refused(other, message):
    members = [Toy("a", 1), other]
    with pytest.raises(ModelError, match=message):
        Ensemble(members, spec(members), name="pair")


def test_a_member_that_was_trained_anew_is_refused():
    with pytest.raises(ModelError, match="b has other weights than when it was made"):
        Ensemble([Toy("a", 1), Toy("b", 4)], spec(MEMBERS[:2]), name="pair")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"members": ["a"]}, "two members or more"),
        ({"combine": "weighted"}, "weights belong to 'weighted'"),
        ({"weights": [0.5, 0.5]}, "weights belong to 'weighted'"),
        ({"combine": "weighted", "weights": [0.5, 0.6]}, "shares that sum to 1"),
        ({"combine": "stacked", "matrix": [[1, 2]], "bias": [0]}, None),
        ({"combine": "stacked", "matrix": [[1, 2, 3]], "bias": [0]}, "a row for each expression"),
        ({"combine": "median"}, "'median' is not one of them: did you mean 'mean'"),
    ],
)
def test_a_contradictory_file_is_refused(fields, message):
    content = {"members": ["a", "b"], "identities": ["0", "1"][: len(fields.get("members", "ab"))], **fields}
    if message is None:
        assert from_mapping(EnsembleSpec, content, "file").bias == (0.0,)
        return
    with pytest.raises(ConfigError, match=message):
        from_mapping(EnsembleSpec, content, "file")


def test_no_file_and_a_damaged_one_are_named(tmp_path):
    with pytest.raises(ModelError, match="'mien ensemble' writes one"):
        EnsembleSpec.read(tmp_path / "x.ensemble.json")
    (tmp_path / "x.ensemble.json").write_text("{")
    with pytest.raises(ConfigError, match="is not JSON"):
        EnsembleSpec.read(tmp_path / "x.ensemble.json")


class Mean(Toy):
    """Logits that tell where brightness is, so that crops and mirror images differ."""

    def logits(self, crops):
        y, x = np.mgrid[:48, :48] / 48
        values = crops.astype(np.float64) / 255
        means = [(values * weight).mean((1, 2)) for weight in (1 + 0 * x, x, y, x * y, x**2, y**2, x > 0.5)]
        return np.stack(means, 1).astype(np.float32) * 10


def test_ten_crops_are_four_corners_and_the_middle_each_mirrored():
    cv2 = pytest.importorskip("cv2")
    toy = Mean(temperature=1.5)
    views = []
    for y, x in ((0, 0), (0, 6), (6, 0), (6, 6), (3, 3)):
        for step in (1, -1):
            large = [cv2.resize(crop[y : y + 42, x : x + 42], (48, 48))[:, ::step] for crop in CROPS]
            views.append(softmax(toy.logits(np.stack(large)), 1.5))
    ten = TenCropped(toy)
    np.testing.assert_allclose(softmax(ten.logits(CROPS)), np.mean(views, axis=0), atol=1e-6)
    assert ten.name == "toy+ten"
    assert ten.shown == "averaged over ten crops"
    assert ten.logits(CROPS[:0]).shape == (0, 7)
