"""Stands in for BitBake's PR server, which the tests do not use."""
