"""Persistent storage of studies: databases, artifacts, attribute names, read-only records.

Knows Optuna and SQLAlchemy; knows nothing of models, training or analysis.
"""
