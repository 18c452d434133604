"""Benchmarks of keyledger against bare psycopg, side by side in one run."""
