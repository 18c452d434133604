"""The statements, one a file; `queries.py` beside this folder loads them by name."""
