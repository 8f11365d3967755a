FROM debian:bookworm-slim
ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc g++ python3 python3-dev python3-venv \
 && rm -rf /var/lib/apt/lists/*
COPY requirements.txt /tmp/
RUN python3 -m venv /opt/venv \
 && /opt/venv/bin/pip install --no-cache-dir --requirement /tmp/requirements.txt
ENV PATH=/opt/venv/bin:$PATH
