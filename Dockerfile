# The image contains the binary of a release with its licences. The binary needs only
# libc. Mount models, data and runs. `make docker` builds the release first.
FROM debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f AS unpack
COPY build/release/lor2c-*-linux-amd64.tar.gz /lor2c.tar.gz
RUN mkdir /lor2c && tar -xzf /lor2c.tar.gz --strip-components=1 -C /lor2c

FROM debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f
COPY --from=unpack /lor2c/lor2c /usr/local/bin/lor2c
COPY --from=unpack /lor2c/LICENSE /lor2c/NOTICE /lor2c/THIRD_PARTY_LICENSES /usr/share/doc/lor2c/
# These variables tell a container runtime with GPUs what to provide from the host.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=compute,utility
WORKDIR /work
# The container does not run as root. Give the files of your own user with `docker run
# --user $(id -u):$(id -g)`.
USER 65532:65532
ENTRYPOINT ["lor2c"]
