"""What the page of a study of emoji tells beside all others, one module and template each."""
