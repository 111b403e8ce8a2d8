"""Toy videos: small scenes whose actions are known exactly."""
