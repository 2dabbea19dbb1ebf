"""The database's tables. Changing one means a new file in ``migrations/versions``; a test holds the two together."""

from __future__ import annotations

from sqlalchemy import JSON, Boolean, Column, Float, ForeignKey, Index, Integer, MetaData, String, Table, Text

METADATA = MetaData()

SETTINGS = Table(
    "settings",
    METADATA,
    Column("key", String, primary_key=True),
    Column("value", JSON, nullable=False),
)

CONSENTS = Table(
    "consents",
    METADATA,
    Column("id", String, primary_key=True),
    Column("scope", String, nullable=False),
    Column("state", String, nullable=False),
    Column("terms", JSON, nullable=False),
    Column("shown", Float, nullable=False),
    Column("changed", Float, nullable=False),
    Column("given", Float),
    Column("expires", Float),
)

RECORDINGS = Table(
    "recordings",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("consent", String, ForeignKey("consents.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("kind", String, nullable=False),
    Column("model", String, nullable=False),
    Column("started", Float, nullable=False),
    Column("utc_offset", Integer, nullable=False),
    Column("length", Float, nullable=False),
    Column("seconds", Integer, nullable=False),
    Column("closed", Boolean, nullable=False),
    Column("expires", Float, nullable=False),
    Index("recordings_expires", "expires"),
    sqlite_autoincrement=True,
)

SECONDS = Table(
    "seconds",
    METADATA,
    Column("recording", Integer, ForeignKey("recordings.id", ondelete="CASCADE"), primary_key=True),
    Column("second", Integer, primary_key=True),
    Column("numbers", JSON, nullable=False),
    sqlite_with_rowid=False,
)

NOTES = Table(
    "notes",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("recording", Integer, ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("at", Float),
    Column("text", Text, nullable=False),
    Column("written", Float, nullable=False),
    sqlite_autoincrement=True,
)

CORRECTIONS = Table(
    "corrections",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("recording", Integer, ForeignKey("recordings.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("start", Float, nullable=False),
    Column("end", Float, nullable=False),
    Column("was", String, nullable=False),
    Column("instead", String),
    Column("written", Float, nullable=False),
    sqlite_autoincrement=True,
)

FEEDBACK = Table(
    "feedback",
    METADATA,
    Column("rule", String, primary_key=True),
    Column("rating", Integer),
    Column("snoozed", Float),
    Column("off", Boolean, nullable=False),
)

AUDIT = Table(
    "audit",
    METADATA,
    Column("id", Integer, primary_key=True),
    Column("at", Float, nullable=False),
    Column("action", String, nullable=False),
    Column("details", JSON, nullable=False),
    sqlite_autoincrement=True,
)
"""Append-only: triggers, made by the first migration, refuse to change or remove a row."""
