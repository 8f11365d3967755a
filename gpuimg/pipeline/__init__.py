"""The pure half, one arrow each: `spec` → `resolve` → `plan` → `render`. No network, clock, engine or environment."""
