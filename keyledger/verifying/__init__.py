"""Deciding on secrets: an attempt goes to a verifier, which asks memory first; cached keys are what memory keeps.

`key_memory` puts the parts together; `possession` identifies a secret without accepting it.
"""
