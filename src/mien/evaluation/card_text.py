"""What model cards say in words, the same for every model unless its manifest says otherwise."""

from __future__ import annotations

from importlib.metadata import version

from mien.core.manifest import Manifest

PROTOCOL = (
    (
        "FER2013's Training part fits the weights, PublicTest chooses, PrivateTest reports: each look at it is a line "
        "of the ledger. Rows leak where their exact pixels stand in an earlier part. Intervals are bootstraps over "
        "the rows; they do not hold what another training seed would change."
    ),
)
CALIBRATION = (
    (
        "Fitted on rows that did not fit the weights, those that chose the model: on them each expression's coverage "
        "by candidate sets is as promised by construction. For faces of the same kind the promise holds for each "
        "expression, the more exactly the more rows it was fitted on; not for faces of another kind."
    ),
)
CORRUPTIONS = (
    "Single crops. Pixels are those of a face of 48 pixels. Nothing was chosen by these figures. A network whose "
    "recipe degrades pictures (degrade) has met darkness, blur and noise in training, one that turns them (rotation) "
    "up to that many degrees, one that greys out rectangles (erase) faces that are covered in part; JPEG and bands of "
    "noise none has met."
)
CROSS_DATASET = (
    "No weights, temperature or threshold was fitted on it. The accuracy's interval draws whole persons, whose "
    "pictures are alike."
)
_ALWAYS = (
    "An expression is what a face shows, not what a person feels; it differs between cultures, situations and persons.",
    "It gives no identity, age, gender or race, and nothing about health, honesty, attention or intent.",
)
_LABELS = {
    "fer2013": (
        "FER2013's labels were given by few people to pictures found by search words; people agree with them on about "
        "two faces of three, so that no accuracy near 100 % can be measured on it."
    ),
    "ferplus": (
        "FER+'s labels are what most of ten people saw in FER2013's pictures, and rows without a majority are left "
        "out: its figures are of clearer faces than those of FER2013, and the two cannot be compared. On the rows "
        "that are left, 31,412, it is FER2013's own label in 67.55 %."
    ),
}
_PICTURES = (
    (
        "FER2013 says nothing of the persons' age, sex, skin or origin: how accuracy differs between groups of people "
        "is not known, and must be measured on people of the kind that it is used on before anything rests on it."
    ),
    (
        "It was trained on single pictures of faces looking roughly at the camera; turned heads are read less well, "
        "and covered mouths or eyes may be read with confidence and wrongly."
    ),
)
USES = (
    (
        "Meant for: research on expressions with people who consented, looking at one's own expressions, tests of "
        "products or films with people who consented, showing how such models work and fail."
    ),
    (
        "Not meant for, and in the EU prohibited: inferring emotions of people at work or in education, other than "
        "for medical or safety reasons. Not meant anywhere for: deciding about a person (hiring, grading, lending, "
        "policing, border control), diagnosis, detecting lies, or watching people who do not know."
    ),
)


def limits(manifest: Manifest) -> tuple[str, ...]:
    """What a model cannot be relied on for."""
    labels = _LABELS.get(trained_on(manifest))
    return (*(() if labels is None else (labels, *_PICTURES)), *_ALWAYS)


def data(manifest: Manifest) -> tuple[str, ...]:
    """What there is to say of the training data."""
    if trained_on(manifest) not in _LABELS:
        return ()
    about = "FER2013 (Goodfellow et al. 2013): 35,887 grey faces of 48 x 48 pixels in seven classes, from web searches."
    if trained_on(manifest) == "ferplus":
        about += " FER+ (Barsoum et al. 2016): ten people's votes on each of its pictures, in eight classes."
    # weights that began as a run of ours saw the same pictures
    alone = "started from" not in manifest.trained_on or "started from runs/" in manifest.trained_on
    return (f"{about} No other pictures were used." if alone else about,)


def trained_on(manifest: Manifest) -> str:
    """Name of the dataset that fitted a model."""
    return manifest.seen[0].dataset


def cite(manifest: Manifest) -> str:
    """How to cite a model."""
    source = "" if manifest.paper in (None, "mien") else f" Architecture: {manifest.paper}."
    data_source = ""
    if trained_on(manifest) in _LABELS:
        data_source = (
            " Data: I. J. Goodfellow et al., Challenges in representation learning: a report on three machine "
            "learning contests, ICONIP 2013."
        )
    return (
        f"mien {version('mien')}, model {manifest.name}, sha256 {manifest.sha256[:12]}; name the version and the "
        f"digest, as weights can change between versions.{source}{data_source}"
    )
