"""The emoji autoencoders as a study: their data, pictures and pages."""
