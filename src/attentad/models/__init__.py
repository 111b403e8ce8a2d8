"""A trained model as a whole: build, file, detect, encode, label, score."""
