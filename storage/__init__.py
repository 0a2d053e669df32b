"""Persistent storage of studies: databases, artifacts, attribute names, read-only records."""
