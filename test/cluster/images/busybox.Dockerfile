# An image without a C library and without bash.
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static \
  && mkdir -p /root-of-it/bin /root-of-it/tmp /root-of-it/etc && cp /bin/busybox /root-of-it/bin/ \
  && chroot /root-of-it /bin/busybox --install -s /bin

FROM scratch
COPY --from=build /root-of-it /
CMD ["/bin/sh"]
