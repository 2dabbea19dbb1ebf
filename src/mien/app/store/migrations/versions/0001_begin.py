"""The first schema: settings, consents, recordings with their seconds, notes and corrections, feedback, audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "settings",
        sa.Column("key", sa.String, primary_key=True),
        sa.Column("value", sa.JSON, nullable=False),
    )
    op.create_table(
        "consents",
        sa.Column("id", sa.String, primary_key=True),
        sa.Column("scope", sa.String, nullable=False),
        sa.Column("state", sa.String, nullable=False),
        sa.Column("terms", sa.JSON, nullable=False),
        sa.Column("shown", sa.Float, nullable=False),
        sa.Column("changed", sa.Float, nullable=False),
        sa.Column("given", sa.Float),
        sa.Column("expires", sa.Float),
    )
    op.create_table(
        "recordings",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("consent", sa.String, sa.ForeignKey("consents.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("kind", sa.String, nullable=False),
        sa.Column("model", sa.String, nullable=False),
        sa.Column("started", sa.Float, nullable=False),
        sa.Column("utc_offset", sa.Integer, nullable=False),
        sa.Column("length", sa.Float, nullable=False),
        sa.Column("seconds", sa.Integer, nullable=False),
        sa.Column("closed", sa.Boolean, nullable=False),
        sa.Column("expires", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("recordings_expires", "recordings", ["expires"])
    op.create_table(
        "seconds",
        sa.Column("recording", sa.Integer, sa.ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("second", sa.Integer, primary_key=True),
        sa.Column("numbers", sa.JSON, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "notes",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("recording", sa.Integer, sa.ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.Float),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("written", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_notes_recording", "notes", ["recording"])
    op.create_table(
        "corrections",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("recording", sa.Integer, sa.ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False),
        sa.Column("start", sa.Float, nullable=False),
        sa.Column("end", sa.Float, nullable=False),
        sa.Column("was", sa.String, nullable=False),
        sa.Column("instead", sa.String),
        sa.Column("written", sa.Float, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_corrections_recording", "corrections", ["recording"])
    op.create_table(
        "feedback",
        sa.Column("rule", sa.String, primary_key=True),
        sa.Column("rating", sa.Integer),
        sa.Column("snoozed", sa.Float),
        sa.Column("off", sa.Boolean, nullable=False),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("at", sa.Float, nullable=False),
        sa.Column("action", sa.String, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sqlite_autoincrement=True,
    )
    refuse = "BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END"
    op.execute(f"CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit {refuse}")
    op.execute(f"CREATE TRIGGER audit_kept BEFORE DELETE ON audit {refuse}")
    # INSERT OR REPLACE removes the former row without asking the trigger above.
    taken = "WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)"
    op.execute(f"CREATE TRIGGER audit_not_replaced BEFORE INSERT ON audit {taken} {refuse}")
