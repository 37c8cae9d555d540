"""From whatever users have to batches on the device."""
