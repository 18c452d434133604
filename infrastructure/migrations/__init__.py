"""The schema as ordered files, one statement each; `schema.py` beside this folder applies them."""
