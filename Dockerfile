# syntax=docker/dockerfile:1
#
# Millrace with its components and web pages: one image, whose config decides what a container is.
#
# Artifacts that were built outside take the place of the stages that build them:
#   docker build --build-context artifacts=<folder with bin/millrace, components/*.wasm, web/ and certs/> .

FROM node:22-bookworm-slim AS web
WORKDIR /src/web
COPY web/package.json web/package-lock.json ./
RUN --mount=type=cache,target=/root/.npm npm ci
COPY web ./
# What the forms of the editor are made from.
COPY schemas /src/schemas
RUN npm run build

FROM rust:1.95-bookworm AS build
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/* \
    && rustup target add wasm32-wasip2
WORKDIR /src
COPY . .
# What `millrace --version` says: docker build --build-arg MILLRACE_COMMIT=$(git rev-parse --short=12 HEAD) .
ARG MILLRACE_COMMIT
# The caches are no part of the image, so what is wanted of them is copied out in the same step.
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    --mount=type=cache,target=/src/components/target \
    MILLRACE_COMMIT=$MILLRACE_COMMIT cargo xtask build --release \
    && mkdir -p /out/bin /out/components \
    && cp target/release/millrace /out/bin/ \
    && cp target/components/*.wasm /out/components/ \
    && cp --dereference /etc/ssl/certs/ca-certificates.crt /out/

FROM scratch AS artifacts
COPY --from=build /out/bin /bin
COPY --from=build /out/components /components
COPY --from=build /out/ca-certificates.crt /certs/
COPY --from=web /src/web/dist /web

FROM debian:bookworm-slim AS runtime
RUN groupadd --gid 10001 millrace \
    && useradd --uid 10001 --gid millrace --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin millrace \
    && install -d -o millrace -g millrace -m 0700 /data /secrets
COPY --from=artifacts /bin/millrace /usr/local/bin/millrace
COPY --from=artifacts /components /app/components
COPY --from=artifacts /web /app/web
# Whom registries of components are believed by; the base has none.
COPY --from=artifacts /certs /etc/ssl/certs
COPY configs /app/configs
COPY seed /app/seed
ENV LISTEN=0.0.0.0:8080 \
    DATA_DIR=/data \
    COMPONENTS_DIR=/app/components \
    WEB_ROOT=/app/web \
    MILLRACE_CONFIG=/app/configs/monolith.yaml \
    MILLRACE_LOG_FORMAT=json
WORKDIR /app
USER 10001:10001
VOLUME /data
EXPOSE 8080
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=3s --start-period=60s --retries=3 CMD ["millrace", "probe", "http://127.0.0.1:8080/readyz"]
ENTRYPOINT ["millrace"]
CMD ["run"]
