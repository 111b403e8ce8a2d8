"""Decoding and encoding of video files (PyAV)."""
