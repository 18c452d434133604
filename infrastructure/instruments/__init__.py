"""Figures, metrics and traces."""
