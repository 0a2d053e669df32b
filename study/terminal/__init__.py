"""What is shown in a terminal while studies run and afterwards."""
