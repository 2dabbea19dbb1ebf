"""The table of training speed, for the generated documents."""

from __future__ import annotations

from typing import Any

HEADS = ("network", "values", "images/s", "outside the two passes", "DataLoader, images/s", "with a process of its own")


def rows(found: dict[str, Any]) -> list[tuple[str, ...]]:
    """A row for each network of ``train_speed.json``."""
    return [
        (
            f"`{row['network']}`",
            f"{row['values']:,}",
            f"{row['images_per_second']:,.0f}",
            f"{row['share_outside']:.1%}",
            *(f"{row['dataloader_images_per_second'][workers]:,.0f}" for workers in ("0", "1")),
        )
        for row in found["rows"]
    ]


def note(found: dict[str, Any]) -> str:
    """How it was measured, in words, and what was not."""
    skipped = "".join(f" Not measured: `{name}` ({why})." for name, why in found["skipped"].items())
    return (
        f"Batches of {found['batch']} in {found['precision']} on {found['device']}, the DataLoader's too; the goal is "
        f"at most {found['goal']:.0%} of a step outside forward and backward.{skipped}"
    )
