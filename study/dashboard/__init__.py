"""The live window on a study: optuna-dashboard, with notes, charts and pictures of its own.

``notes`` and ``graphs`` turn a record into what the dashboard shows, ``refresh`` writes both into
the database, ``refresher`` does so while a study runs, ``app`` and ``server`` serve the pages.
"""
