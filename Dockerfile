# syntax=docker/dockerfile:1
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t REGISTRY/iofog-operator:0.1.0 --push .
#
# The base images are arguments, so that a mirror, or a digest that you have looked up yourself, can take their place.
ARG BUILD_IMAGE=denoland/deno:2.9.6
# glibc and libgcc are needed: neither distroless/static nor Alpine will do.
ARG RUNTIME_IMAGE=gcr.io/distroless/cc-debian13:nonroot

FROM --platform=${BUILDPLATFORM} ${BUILD_IMAGE} AS build
ARG TARGETARCH
WORKDIR /build
COPY deno.json deno.lock ./
COPY tools/compile.ts tools/permissions.ts tools/layers_lint.ts tools/
COPY src/ src/
RUN case "${TARGETARCH}" in \
      amd64) target=x86_64-unknown-linux-gnu ;; \
      arm64) target=aarch64-unknown-linux-gnu ;; \
      *) echo "no runtime for ${TARGETARCH}: build for amd64 or arm64" >&2; exit 1 ;; \
    esac; \
    deno task compile --container --target "${target}"

FROM ${RUNTIME_IMAGE}
LABEL org.opencontainers.image.title="iofog-operator" \
      org.opencontainers.image.description="Manages ioFog edge compute networks on Kubernetes" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build --chmod=0755 /build/dist/iofog-operator /usr/local/bin/iofog-operator
# Deno sizes its heap by the machine and not by the container unless told; it writes nothing, so the root file system
# can be read-only; and nobody could answer a prompt.
ENV DENO_USE_CGROUPS=1 \
    DENO_NO_PROMPT=1 \
    DENO_NO_UPDATE_CHECK=1 \
    DENO_DIR=/tmp/deno \
    NO_COLOR=1
USER 65532:65532
# A binary with the wrong runtime in it is a REPL: what does not say its version is no image.
RUN ["/usr/local/bin/iofog-operator", "version"]
# Metrics and probes.
EXPOSE 8080 8081
ENTRYPOINT ["iofog-operator"]
