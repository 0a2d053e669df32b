"""The live window on a study: optuna-dashboard, with notes, charts and pictures of its own."""
