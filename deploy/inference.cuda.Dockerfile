# The server on NVIDIA GPUs: the image of inference.Dockerfile with onnxruntime's CUDA libraries, on NVIDIA's base. Build that
# image first, then from the repository root:
#   docker build -f deploy/inference.cuda.Dockerfile -t heimdex/inference:cuda .
# Only linux/amd64: onnxruntime-node has no CUDA for arm64. Never built or tested by this project.

ARG INFERENCE_IMAGE=heimdex/inference
# CUDA and cuDNN versions required by onnxruntime's provider; pin a digest for reproducible images.
ARG CUDA_IMAGE=docker.io/nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04

FROM ${INFERENCE_IMAGE} AS server
USER 0:0
# As documented: the package's script fetches the libraries of the same release from NuGet.
RUN node node_modules/onnxruntime-node/script/install.js --onnxruntime-node-install=cuda12 && \
    rm node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_tensorrt.so
USER 1000:1000

FROM ${CUDA_IMAGE}
COPY --from=server /usr/local/bin/node /usr/local/bin/node
COPY --from=server --chown=0:0 /app /app
# Every library that the provider needs must be present, except the driver, which the host provides.
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN missing=$(ldd /app/node_modules/onnxruntime-node/bin/napi-v6/linux/x64/libonnxruntime_providers_cuda.so | grep 'not found' | grep -v 'libcuda\.so') || true; \
    if [[ -n $missing ]]; then echo "Set CUDA_IMAGE to a base with: $missing"; exit 1; fi
ARG CUDA_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
# The digest of the base image, if it is pinned.
ARG BASE_DIGEST=unknown
LABEL org.opencontainers.image.title="heimdex-inference-cuda" \
      org.opencontainers.image.description="Serves speech, images, text and faces over gRPC from a read-only models volume, on NVIDIA GPUs." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${CUDA_IMAGE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
ENV NODE_ENV=production \
    MODELS_DIR=/app/models \
    HF_HOME=/app/models/.cache \
    HF_HUB_CACHE=/app/models/.cache \
    TRANSFORMERS_CACHE=/app/models/.cache \
    XDG_CACHE_HOME=/app/models/.cache \
    HF_HUB_OFFLINE=1 \
    TRANSFORMERS_OFFLINE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    MALLOC_ARENA_MAX=1 \
    MALLOC_MMAP_THRESHOLD_=1048576 \
    MALLOC_TRIM_THRESHOLD_=8388608 \
    DEVICE=cuda \
    PORT=8001
WORKDIR /app
RUN chown -R 1000:1000 /app/models
USER 1000:1000
EXPOSE 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s --retries=3 CMD ["node", "/app/deploy/images/healthcheck.js"]
ENTRYPOINT ["node", "--max-semi-space-size=16", "/app/inference/bin/heimdex-inference.js"]
