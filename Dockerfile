# The workers, whatever their role. Build from the repository's root: docker build -t drover/worker:0.1.0 .
FROM node:24-bookworm-slim AS build
WORKDIR /opt/drover
COPY package.json package-lock.json .npmrc ./
# Of the natively built parts only this platform's, and nothing that only a compiler reads.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund \
  && find node_modules/@temporalio/core-bridge/releases -mindepth 1 -maxdepth 1 \
    ! -name "$(node -p "({x64:'x86_64',arm64:'aarch64'})[process.arch]")-unknown-linux-gnu" -exec rm -r {} + \
  && find node_modules -type f \( -name '*.d.ts' -o -name '*.d.mts' -o -name '*.d.cts' -o -name '*.map' \) -delete
COPY . .
# What the bundle is made with is not needed to use it.
RUN node workers/build-workflow-bundle.ts && rm -r node_modules/@swc

FROM node:24-bookworm-slim
# For TLS to the Temporal server.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates \
  && rm -rf /var/lib/apt/lists/* && mkdir /var/lib/drover && chown 1000:1000 /var/lib/drover
WORKDIR /opt/drover
COPY --from=build /opt/drover ./
ENV DROVER_STATE_FOLDER=/var/lib/drover
USER 1000:1000
CMD ["node", "workers/main.ts"]
