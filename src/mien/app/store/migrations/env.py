"""Run by Alembic, on the connection and within the transaction that the store hands it."""

from alembic import context

context.configure(connection=context.config.attributes["connection"], transactional_ddl=False)
context.run_migrations()
