"""gpuimg: a version matrix, Dockerfile templates and a smoke step for GPU training images."""

__version__ = "0.1.0"
