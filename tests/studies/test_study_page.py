"""Pages: the paper's figure beside ours, nothing that was not measured, and the committed pages from the results."""

from pathlib import Path

import pytest

from mien.evaluation.evaluation_result import ClassResult
from mien.studies import study_page
from mien.studies.catalogue import STUDIES
from mien.studies.cell_results import CellResult, CellScore, CurvePoint, Reproduction, TrainingFacts
from mien.studies.paper_cells import CellTable, PaperCell, PaperStudy, Published, SplitProtocol
from mien.studies.study_tables import tables
from mien.training.cost import Cost

ROOT = Path(__file__).parents[2]
JAFFE = {name: SplitProtocol("jaffe", name, "six", folds=5) for name in ("random", "persons")}
COST = Cost("resezap", 53_136, 1_344, 16_909_540, 213_700, 48, 0.5, 0.75, 200, "a machine", 1.0)


def score(accuracy, **changes):
    made = {
        "labels": ("angry", "happy"),
        "n": 100,
        "groups": 10,
        "accuracy": accuracy,
        "accuracy_interval": (accuracy - 0.05, accuracy + 0.04),
        "precision": 0.7,
        "recall": 0.6,
        "f1": 0.65,
        "log_loss": 0.9876,
        "classes": (ClassResult("angry", 40, None, 0.25, 0.3), ClassResult("happy", 60, 0.8, 0.75, 0.77)),
        "confusion": ((10, 30), (15, 45)),
        "parts": (accuracy,) * 5,
    }
    return CellScore(**made | changes)


TRAINING = TrainingFacts(
    5, 4, (3,), 80, 20, 7200.0, "a device", tuple(CurvePoint(2 - i / 4, 0.4, 1.5, 0.5) for i in range(4)), 2
)
STUDY = PaperStudy(
    "003",
    "A title",
    "Somebody 2020",
    ("A note.",),
    (
        CellTable(
            "Depth",
            (
                PaperCell(
                    "a-random", "A, random", JAFFE["random"], recipe="x", paper=Published(0.93, "P 94"), differs="Why."
                ),
                PaperCell("a-persons", "A, persons", JAFFE["persons"], recipe="x"),
                PaperCell("b-random", "B, random", JAFFE["random"], recipe="y", paper=Published(0.5)),
                PaperCell("other", "Others", paper=Published(0.4321, values=7_000)),
            ),
            "Some text.",
            ("persons", "cost", "vector", "classes", "confusion", "turns"),
        ),
    ),
)
COMMAND = "mien reproduce 003 --only b-random --weights vgg16=imagenet"
FOUND = Reproduction(
    "003",
    results=(
        CellResult("a-random", "measured", score=score(0.9), training=TRAINING, cost=COST, epochs=4, detector="yunet"),
        CellResult(
            "a-persons", "measured", score=score(0.55), training=TRAINING, cost=COST, epochs=4, source="a.jsonl"
        ),
        CellResult("b-random", "not run", why="weights unavailable", command=COMMAND),
    ),
)


def test_the_papers_figure_stands_beside_ours():
    text = study_page.markdown(STUDY, FOUND)
    assert "| A, random | 93.00 (P 94) | 90.00 (85.0 to 94.0) | 100 | 70.00 | 60.00 | 65.00 | 0.988 | 5 | 4 |" in text
    assert "| Others | 43.21 | – |" in text
    assert "- A, random: Why." in text
    assert "left out" not in text
    short = CellResult("a-random", "measured", score=score(0.9, left_out=54), training=TRAINING, cost=COST, epochs=4)
    text = study_page.markdown(STUDY, FOUND.with_result(short, ["a-random", "a-persons", "b-random"]))
    assert "- A, random: 54 rows are left out whose expression it cannot give." in text


def test_what_was_not_run_shows_no_figure_and_the_command():
    text = study_page.markdown(STUDY, FOUND)
    [line] = [line for line in text.splitlines() if line.startswith("| B, random")]
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert cells[:3] == ["B, random", "50.00", "not run: weights unavailable"]
    assert set(cells[3:-1]) == {"–"}
    assert f"`{COMMAND}`" in text


def test_one_command_runs_what_is_missing_alike():
    nothing = Reproduction(
        "003",
        results=tuple(
            CellResult(name, "not run", why="not run yet", command=f"mien reproduce 003 --only {name}")
            for name in ("a-random", "a-persons")
        ),
    )
    assert "- not run yet: `mien reproduce 003 --only a-random --only a-persons`" in study_page.markdown(STUDY, nothing)


def test_new_persons_cost_what_lies_between():
    made = {table.caption: table for table in tables(STUDY.sections[0], FOUND)}
    assert made["What the random split is worth"].rows == (("A", "90.0", "55.0", "+35.0"),)


def test_networks_expressions_and_curves_have_their_tables():
    made = {table.caption: table for table in tables(STUDY.sections[0], FOUND)}
    cost = made["What the networks take"]
    row = dict(zip(cost.heads, cost.rows[0], strict=True))
    assert (row["trained"], row["all"], row["ONNX size"]) == ("53,136", "54,480", "214 kB")
    assert (row["multiplications"], row["ms here (95th)"]) == ("16,909,540", "0.50 (0.75)")
    assert [line[0] for line in cost.rows] == ["A (resezap)", "Others"]  # one line for equal networks
    assert made["Rate correct of each expression, %"].rows[0] == ("A, random", "25.00", "75.00")
    assert made["Truth in rows, answers in columns: A, random"].rows == (("angry", "10", "30"), ("happy", "15", "45"))
    assert made["Curves of the first run"].rows[0][:3] == ("A, random", "4", "2")
    assert made["Curves of the first run"].rows[0][3] == "1.5000 at 1"


def test_one_protocol_is_said_once():
    cells = (PaperCell("a", "A", recipe="x"), PaperCell("b", "B", recipe="y"))
    study = PaperStudy("000", "T", "P", (), (CellTable("S", cells),))
    text = study_page.markdown(study, Reproduction("000", results=(CellResult("a", "measured", score=score(0.5)),)))
    assert text.count("reported on PrivateTest") == 1
    assert "| how |" not in text


def test_how_it_was_measured_names_everything():
    text = study_page.markdown(STUDY, FOUND)
    for words in ("a machine", "10 runs, 4.00 hours of training on a device", "found by yunet", "from there: a.jsonl"):
        assert words in text


def test_quick_results_say_that_they_mean_nothing():
    assert study_page.QUICK in study_page.markdown(STUDY, Reproduction("003", quick=True))
    assert study_page.QUICK not in study_page.markdown(STUDY, FOUND)


def test_the_html_page_draws_curves_and_confusions():
    text = study_page.html(STUDY, FOUND)
    assert text.count('src="data:image/png;base64,') == 2
    assert "validation loss turns at epoch 2" in text
    assert "Confusion matrices" in text


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "measured"},
        {"status": "not run", "score": score(0.5), "why": "x", "command": "y"},
        {"status": "not run", "why": "x"},
        {"status": "counted", "score": score(0.5)},
        {"status": "measured", "score": score(0.5), "epochs": 3, "asked": 3},
    ],
)
def test_a_result_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValueError, match="cell 'a'"):
        CellResult("a", **wrong)


@pytest.mark.parametrize("name", STUDIES)
def test_the_committed_page_comes_from_the_committed_results(name):
    found = Reproduction.read(ROOT / "results" / f"{name}.json")
    assert not found.quick
    assert {result.cell for result in found.results} == {
        cell.name for cell in STUDIES[name].cells if not cell.is_quoted
    }
    text = (ROOT / "docs" / "studies" / f"{name}.md").read_text(encoding="utf-8")
    assert text == study_page.markdown(STUDIES[name], found), "make tables"
