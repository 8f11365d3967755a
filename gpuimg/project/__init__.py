"""The project file: what a user's folder wants of its images, and how such a file comes to be."""
