"""Read models made anew beside the live ones, and compared with them."""
