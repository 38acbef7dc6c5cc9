"""Stands in for the client of BitBake's hash server."""
