"""What each command does, without the command line: requests in, results out."""
