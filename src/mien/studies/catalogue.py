"""The five studies by name."""

from __future__ import annotations

from mien.core.errors import ConfigError, nearest
from mien.studies import study_000, study_001, study_002, study_003, study_004
from mien.studies.paper_cells import PaperStudy

STUDIES: dict[str, PaperStudy] = {
    study.name: study for study in (study_000.STUDY, study_001.STUDY, study_002.STUDY, study_003.STUDY, study_004.STUDY)
}
"""Every study, in the papers' order."""


def study_named(name: str) -> PaperStudy:
    """The study of a paper's number; ``"2"`` is ``"002"``.

    Raises:
        ConfigError: there is none; the message lists them.
    """
    known = STUDIES.get(name.zfill(3))
    if known is None:
        raise ConfigError(f"there is no study '{name}': {nearest(name, STUDIES)}")
    return known
