"""Re-derives the matrix from what published wheels say of themselves."""
