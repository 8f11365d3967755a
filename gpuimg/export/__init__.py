"""What gpuimg writes for other programs to run: one module a format."""
