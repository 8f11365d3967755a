"""The checks, one module a group. Each is a function ``(env, expect) -> Outcome`` and has a line in `registry`."""
