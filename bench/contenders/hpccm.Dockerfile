FROM debian:bookworm-slim

ARG PIP_INDEX_URL
ARG PIP_TRUSTED_HOST

ENV PIP_BREAK_SYSTEM_PACKAGES=1

# Python
RUN apt-get update -y && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        python3 \
        python3-dev && \
    rm -rf /var/lib/apt/lists/*

# GNU compiler
RUN apt-get update -y && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        g++ \
        gcc && \
    rm -rf /var/lib/apt/lists/*

# pip
RUN apt-get update -y && \
    DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
        python3-pip \
        python3-setuptools \
        python3-wheel && \
    rm -rf /var/lib/apt/lists/*
COPY requirements.txt /var/tmp/requirements.txt
RUN pip3 --no-cache-dir install -r /var/tmp/requirements.txt && \
    rm -rf /var/tmp/requirements.txt


