"""The pages of the papers' studies, ``docs/studies/NNN.md``, from ``results/NNN.json`` alone."""

from __future__ import annotations

from pathlib import Path


def pages(root: Path) -> dict[str, str]:
    """The text of each page below ``root`` by its name, for every study that has results there."""
    files = sorted((root / "results").glob("[0-9][0-9][0-9].json"))
    if not files:
        return {}
    from mien.studies import study_page
    from mien.studies.catalogue import study_named
    from mien.studies.cell_results import Reproduction

    return {
        f"docs/studies/{file.stem}.md": study_page.markdown(study_named(file.stem), Reproduction.read(file))
        for file in files
    }
