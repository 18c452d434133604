"""What follows the events: the sequencer that orders them, and the runner that keeps the read models."""
