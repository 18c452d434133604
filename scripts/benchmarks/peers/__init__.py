"""Verification by others' libraries, on the same server and in the same run."""
