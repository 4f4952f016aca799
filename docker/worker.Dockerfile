# Runs train and prune jobs; holds torch. Build from the top of the repository:
#   docker build -f docker/worker.Dockerfile -t sobolite-worker .
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS install
# Unset by default. The default build of torch brings several gigabytes of CUDA libraries: give the address of PyTorch's
# index of CPU builds as PIP_EXTRA_INDEX_URL for a small image.
ARG PIP_INDEX_URL
ARG PIP_EXTRA_INDEX_URL
WORKDIR /source
COPY . .
RUN python -m venv /opt/sobolite \
    && /opt/sobolite/bin/pip install --no-cache-dir -c constraints.txt '.[train]'

FROM python:${PYTHON}-slim
COPY --from=install /opt/sobolite /opt/sobolite
RUN useradd --uid 10001 --create-home sobolite \
    && install --directory --owner=sobolite --group=sobolite /registry
USER 10001
WORKDIR /home/sobolite
ENV PATH="/opt/sobolite/bin:$PATH" \
    SOBOLITE_REGISTRY=/registry \
    ORT_DISABLE_TELEMETRY=1
VOLUME /registry
# A worker that dies ends its container; this notices a registry that cannot be reached.
HEALTHCHECK --interval=60s --timeout=20s --start-period=20s --retries=3 \
    CMD ["sobolite", "jobs", "list", "--json"]
ENTRYPOINT ["sobolite"]
CMD ["worker"]
