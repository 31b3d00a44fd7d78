# The echo upstream of `compose.yml`. `cargo xtask image echo` builds the binary and calls this.
FROM scratch
LABEL org.opencontainers.image.title="echo-upstream" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY echo-upstream /usr/bin/
USER 65532:65532
ENTRYPOINT ["/usr/bin/echo-upstream"]
