"""Alembic's migrations of the app's database; :func:`mien.app.storage.database.migrate` runs them."""
