"""The matrix: files → checked rows (`load`), and what they say about each other (`checks`)."""

from gpuimg.matrix.load import load_hosts, load_matrix, load_wheels

__all__ = ["load_hosts", "load_matrix", "load_wheels"]
