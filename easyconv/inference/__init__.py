"""What makes a net answer faster: on the user's own net without touching it, or on a copy of it."""
