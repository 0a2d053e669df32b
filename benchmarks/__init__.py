"""Speed and memory, each figure a ratio of two sides measured in one run: ``make bench``."""
