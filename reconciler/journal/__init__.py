"""The durable record of runs, intents and outcomes: the only package that knows SQLAlchemy and Alembic.

Importing it costs a quarter of a second: commands that touch no journal import nothing from here.
"""
