# One static program and nothing else: no shell, no folders.
FROM debian:bookworm-slim AS build
RUN apt-get update && apt-get install -y --no-install-recommends busybox-static

FROM scratch
COPY --from=build /bin/busybox /program
