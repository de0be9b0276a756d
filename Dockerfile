# docker build --tag go-observer/observer:0.1.0 .
#
# For those who build with Docker (23 or newer, for BuildKit): the image that
# `cargo xtask image` makes without it. A static binary, and nothing else.
FROM --platform=$BUILDPLATFORM rust:1.98.0-bookworm AS build
ARG TARGETARCH
WORKDIR /src
COPY . .
# What is missing, LLVM and clang from apt.llvm.org and bpf-linker, xtask installs.
ENV GO_OBSERVER_CACHE=/cache
RUN --mount=type=cache,target=/cache \
    --mount=type=cache,target=/usr/local/cargo/registry \
    apt-get update \
    && cargo xtask image --arch "${TARGETARCH:-amd64}" --output /out \
    && case "${TARGETARCH:-amd64}" in arm64) cpu=aarch64 ;; *) cpu=x86_64 ;; esac \
    && cp "/cache/target/$cpu-unknown-linux-musl/release/observer" /out/observer

FROM scratch
COPY --from=build /out/observer /observer
# Kubernetes runs it as root with five capabilities (deploy/observer), since it
# gives added ones to no other user. Nothing else needs root.
USER 65532:65532
EXPOSE 9920
ENTRYPOINT ["/observer"]
