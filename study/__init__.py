"""Studies: objectives, workers, analysis, figures, report and the command line."""
