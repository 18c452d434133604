"""The schema as ordered files, one statement each, and what one of them needs beside it.

`schema.py` beside this folder applies them.
"""
