"""Samplers and pruners by name, and the two that Optuna lacks."""
