"""Can this host build and run GPU images, and what mends it: one file a check, in the order of `registry`."""
