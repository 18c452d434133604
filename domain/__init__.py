"""What a key is and what may happen to it: pure, with no database, driver, clock or randomness hidden in it."""
