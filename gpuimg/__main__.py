"""``python -m gpuimg`` is ``gpuimg``."""

from gpuimg.cli.app import main

main()
