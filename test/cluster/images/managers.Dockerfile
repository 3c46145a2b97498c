# An image of its own for tests of setups: with managers that the default sandbox lacks, registries of
# gems and crates for them, and a repository.
FROM debian:bookworm-slim
RUN apt-get update \
  && apt-get install -y --no-install-recommends \
    ca-certificates cargo gcc git golang-go libc6-dev ruby \
  && rm -rf /var/lib/apt/lists/*

WORKDIR /srv/gems
RUN mkdir bin gems && printf '#!/usr/bin/env ruby\nputs 1\n' > bin/drover-gem \
  && printf '%s\n' 'Gem::Specification.new do |gem|' 'gem.name = "drover-gem"' 'gem.version = "1.0.0"' \
    'gem.summary = "s"' 'gem.authors = ["a"]' 'gem.files = ["bin/drover-gem"]' \
    'gem.executables = ["drover-gem"]' 'end' > drover-gem.gemspec \
  && gem build drover-gem.gemspec && mv drover-gem-1.0.0.gem gems/ \
  && gem generate_index --directory /srv/gems \
  && printf -- '---\n:sources:\n- file:///srv/gems\n' > /etc/gemrc

WORKDIR /srv/crates/drover-crate
RUN mkdir src && echo 'fn main() { println!("1"); }' > src/main.rs \
  && printf '[package]\nname = "drover-crate"\nversion = "1.0.0"\n' > Cargo.toml \
  && echo '{"files":{},"package":null}' > .cargo-checksum.json \
  && mkdir /.cargo \
  && printf '[source.crates-io]\nreplace-with = "local"\n[source.local]\ndirectory = "/srv/crates"\n' \
    > /.cargo/config.toml

RUN git init --quiet --initial-branch main /srv/repository && cd /srv/repository \
  && echo local > origin.txt && git add . \
  && git -c user.name=test -c user.email=test@test commit --quiet --message first \
  && chown -R 1000:1000 /srv/repository
