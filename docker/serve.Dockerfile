# Serves prices and takes jobs; holds onnxruntime and numpy but no torch. Build from the top of the repository:
#   docker build -f docker/serve.Dockerfile -t sobolite-serve .
ARG PYTHON=3.11

FROM python:${PYTHON}-slim AS install
# Unset by default; a build argument of this name reaches pip, for those who install from a mirror.
ARG PIP_INDEX_URL
WORKDIR /source
COPY . .
RUN python -m venv /opt/sobolite \
    && /opt/sobolite/bin/pip install --no-cache-dir -c constraints.txt .

FROM python:${PYTHON}-slim
COPY --from=install /opt/sobolite /opt/sobolite
# The registry is created here with its owner, so that a new volume mounted on it belongs to the same user.
RUN useradd --uid 10001 --create-home sobolite \
    && install --directory --owner=sobolite --group=sobolite /registry
USER 10001
WORKDIR /home/sobolite
# Large answers are allocated and freed all the time: keep their memory in the process rather than give it back each time.
ENV PATH="/opt/sobolite/bin:$PATH" \
    SOBOLITE_REGISTRY=/registry \
    ORT_DISABLE_TELEMETRY=1 \
    MALLOC_MMAP_THRESHOLD_=134217728 \
    MALLOC_TRIM_THRESHOLD_=268435456
VOLUME /registry
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/readyz', timeout=2)"]
ENTRYPOINT ["sobolite"]
CMD ["serve", "--host", "0.0.0.0", "--port", "8000", "--no-worker"]
