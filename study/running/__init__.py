"""Running a study: the coordinator, workers and their supervisors, and what one trial is."""
