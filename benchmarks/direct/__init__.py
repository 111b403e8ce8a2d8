"""The detectors in the direct form of their papers and public codes, to measure ours against."""
