# The downloader: fills the volume and exits. Build from the repository root:
#   docker build -f deploy/downloader.Dockerfile -t heimdex/downloader .
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
COPY demo/hub demo/hub
COPY downloader downloader
RUN npx tsc -b downloader

FROM manifests AS modules
RUN npm ci --omit=dev --workspace=@heimdex/downloader
COPY deploy/images/installed.js deploy/images/prune.js deploy/images/sbom.js /tmp/images/
RUN node /tmp/images/prune.js @heimdex/downloader && rm -f package-lock.json .npmrc && node /tmp/images/sbom.js heimdex-downloader

FROM ${NODE_IMAGE}
ARG NODE_IMAGE
ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
# The digest of the base image, if it is pinned.
ARG BASE_DIGEST=unknown
LABEL org.opencontainers.image.title="heimdex-downloader" \
      org.opencontainers.image.description="Fills a models volume, verifies every byte, compiles checkpoints, publishes and exits." \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.base.name="${NODE_IMAGE}" \
      org.opencontainers.image.base.digest="${BASE_DIGEST}"
ENV NODE_ENV=production \
    ORT_DISABLE_TELEMETRY=1 \
    MODELS_DIR=/app/models \
    HF_HOME=/app/models/.cache \
    HF_HUB_CACHE=/app/models/.cache \
    TRANSFORMERS_CACHE=/app/models/.cache \
    XDG_CACHE_HOME=/app/models/.cache
WORKDIR /app
COPY --from=modules /app ./
COPY --from=build /app/downloader/cache/dist/src downloader/cache/dist/src
COPY --from=build /app/downloader/compiler/dist/src downloader/compiler/dist/src
COPY --from=build /app/downloader/common/dist/src downloader/common/dist/src
COPY --from=build /app/downloader/onnx/dist/src downloader/onnx/dist/src
COPY --from=build /app/downloader/dist/src downloader/dist/src
COPY downloader/cache/manifest downloader/cache/manifest
# A new named volume inherits the owner of this directory.
RUN mkdir -p /app/models/.cache && chown -R 1000:1000 /app/models
USER 1000:1000
HEALTHCHECK NONE
ENTRYPOINT ["node", "/app/downloader/bin/heimdex-downloader.js"]
CMD ["download"]
