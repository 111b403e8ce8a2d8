"""`attentad table`: a paper's table, run again."""
