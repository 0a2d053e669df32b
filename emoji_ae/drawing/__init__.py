"""Pictures of models and of what they make of images."""
