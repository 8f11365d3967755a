"""Extras: what users add to a stack, resolved by uv against all that the stack fixes, before anything is built."""
