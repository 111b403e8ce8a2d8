"""What several detectors share: boundary matching and balanced losses."""
