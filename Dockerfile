# Likeness in one container, for NVIDIA GPUs or none.
#   docker build -t likeness .
#   docker build -t likeness:cpu --build-arg PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu .
# torch's wheels bring the CUDA runtime; the host brings the driver (nvidia-container-toolkit), 580 or
# newer for the default, 525 for https://download.pytorch.org/whl/cu126 as the index.

FROM python:3.11.14-slim-bookworm AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=${PIP_EXTRA_INDEX_URL} PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
COPY . .
# The same script as `make setup`: packages, then the face models, each file checked by digest.
RUN tools/setup.sh python3.11

FROM python:3.11.14-slim-bookworm
# Numbers, not names: what is mounted from the host must belong to the same ones.
RUN groupadd --gid 10001 likeness \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin likeness \
    && install -d -o 10001 -g 10001 -m 0700 /scratch /receipts
COPY --from=build /app /app
WORKDIR /app
# The user has no home of its own; what libraries would keep in one (CUDA its
# kernels, here 128 MB at most) is gone with the container.
ENV HOME=/tmp \
    PATH=/app/.venv/bin:$PATH \
    CUDA_CACHE_MAXSIZE=134217728 \
    LIKENESS_HOST=0.0.0.0 \
    LIKENESS_SCRATCH=/scratch \
    LIKENESS_RECEIPTS=/receipts \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility
USER 10001:10001
EXPOSE 7860
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 \
    CMD ["/app/.venv/bin/python", "-m", "tools.healthcheck"]
CMD ["/app/.venv/bin/python", "app.py"]
