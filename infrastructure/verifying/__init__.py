"""What a verifier remembers, and for how long: the feed, its lease, and the cache."""
