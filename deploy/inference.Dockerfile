# The server: reads the volume and makes no network requests. Build from the repository root:
#   docker build -f deploy/inference.Dockerfile -t heimdex/inference .
# linux/amd64 and linux/arm64; only amd64 is built and tested by this project.

# Pin a digest for reproducible images: --build-arg NODE_IMAGE=docker.io/library/node@sha256:...
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS manifests
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
COPY client/package.json client/
COPY client/bin client/bin
COPY demo/package.json demo/
COPY demo/hub/package.json demo/hub/
COPY demo/stubs demo/stubs
COPY deploy/package.json deploy/
COPY downloader/package.json downloader/
COPY downloader/bin downloader/bin
COPY downloader/cache/package.json downloader/cache/
COPY downloader/compiler/package.json downloader/compiler/
COPY downloader/common/package.json downloader/common/
COPY downloader/onnx/package.json downloader/onnx/
COPY gen/package.json gen/
COPY inference/package.json inference/
COPY inference/bin inference/bin

FROM manifests AS build
RUN npm ci
COPY tsconfig.json ./
COPY client client
COPY demo/hub demo/hub
COPY downloader/cache downloader/cache
COPY downloader/common downloader/common
COPY downloader/compiler downloader/compiler
COPY downloader/onnx downloader/onnx
COPY gen gen
COPY inference inference
RUN npx tsc -b inference

FROM manifests AS modules
RUN npm ci --omit=dev --workspace=@heimdex/inference
COPY deploy/images/installed.js deploy/images/prune.js deploy/images/sbom.js /tmp/images/
RUN node /tmp/images/prune.js @heimdex/inference && rm -f package-lock.json .npmrc && node /tmp/images/sbom.js heimdex-inference

FROM ${NODE_IMAGE}
ARG NODE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
# The digest of the base image, if it is pinned.
ARG BASE_DIGEST=unknown
LABEL org.opencontainers.image.title="heimdex-inference" \
      org.opencontainers.image.description="Serves speech, images, text and faces over gRPC from a read-only models volume." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}" \
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
    PORT=8001
WORKDIR /app
COPY --from=modules /app ./
COPY --from=build /app/gen/dist gen/dist
COPY --from=build /app/downloader/cache/dist/src downloader/cache/dist/src
COPY --from=build /app/downloader/common/dist/src downloader/common/dist/src
COPY --from=build /app/downloader/onnx/dist/src downloader/onnx/dist/src
COPY --from=build /app/inference/dist/src inference/dist/src
COPY downloader/cache/manifest downloader/cache/manifest
COPY deploy/images/healthcheck.js deploy/images/forward.js deploy/images/
# A new named volume inherits the owner of this directory.
RUN mkdir -p /app/models/.cache && chown -R 1000:1000 /app/models
USER 1000:1000
EXPOSE 8001
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=600s --retries=3 CMD ["node", "/app/deploy/images/healthcheck.js"]
ENTRYPOINT ["node", "--max-semi-space-size=16", "/app/inference/bin/heimdex-inference.js"]
