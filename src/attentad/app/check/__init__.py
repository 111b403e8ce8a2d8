"""`attentad check`: a data set looked over before training."""
