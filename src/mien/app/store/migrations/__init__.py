"""Alembic's migrations of the app's database; :func:`mien.app.store.database.migrate` runs them."""
