"""`attentad train own`: videos and what is annotated of them → a model, its scores, a page."""
