"""Stacks that nobody published, compiled from torch's sources: resolved, planned, and what runs in the builder."""
