FROM debian:bookworm-slim
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
ARG UV_DEFAULT_INDEX
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc g++ python3 python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir uv
COPY requirements.txt /tmp/
# the cache is another file system, so uv has to copy
RUN --mount=type=cache,target=/root/.cache/uv,id=race \
    /opt/venv/bin/uv pip install --python /opt/venv/bin/python --link-mode copy --requirement /tmp/requirements.txt
ENV PATH=/opt/venv/bin:$PATH
