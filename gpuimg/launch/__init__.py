"""How an image is started, said once: wishes and what is known of the machine → a `Launch` → one form a module."""
