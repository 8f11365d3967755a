"""hpccm's way to the same packages; `hpccm.Dockerfile` is what hpccm 26.5.0 makes of it.

``hpccm --recipe bench/contenders/hpccm_recipe.py > bench/contenders/hpccm.Dockerfile``
"""

# mypy: ignore-errors
# ruff: noqa: F821  # hpccm runs this with its own names defined

# hpccm knows no Debian; Ubuntu 22.04's apt commands are the same
Stage0 += baseimage(image="debian:bookworm-slim", _distro="ubuntu22")
# where the index is, and that Debian's pip may install beside Debian's packages
Stage0 += raw(docker="ARG PIP_INDEX_URL\nARG PIP_TRUSTED_HOST")
Stage0 += environment(variables={"PIP_BREAK_SYSTEM_PACKAGES": "1"})
Stage0 += python(python2=False, devel=True)
Stage0 += gnu(fortran=False)
Stage0 += pip(pip="pip3", requirements="requirements.txt")
