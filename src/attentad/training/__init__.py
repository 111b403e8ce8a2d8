"""Training. `loop.fit` is the only code that imports Lightning, so import the modules by name."""
