# What is done to this repository, by name: `just`, `just test`, `just bench rebuild`.

default: lint test

# Form, lints and documentation, as they must be before anything lands.
lint:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets --all-features --locked -- -D warnings
    RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --all-features --locked

# All tests; `just test store` those of one target.
test *target:
    cargo test --workspace --all-features --locked {{ if target == "" { "" } else { "--test " + target } }}

# The example: the caches of a layer, frozen beside inherited. `just example DIR` reads a real layer.
example *arguments:
    cargo run --release --locked -p bitbake -- {{ arguments }}

# One bench, or all of them: `just bench rebuild`.
bench *name:
    cargo bench --locked {{ if name == "" { "" } else { "--bench " + name } }}

# The rivals: `just rivals lookup`.
rivals *arguments:
    cargo run --release --locked --manifest-path benches/rivals/Cargo.toml -- {{ arguments }}

# Measures anew and writes pages of benches/record.
record *pages:
    benches/record/run {{ pages }}

# A fuzz target for so many seconds; needs cargo-fuzz and a nightly toolchain.
fuzz target seconds="60":
    cargo +nightly fuzz run {{ target }} -- -max_total_time={{ seconds }}

# Lists the public interface anew, for changes of it to be seen; needs cargo-public-api and a nightly
# toolchain, the ones that .github/workflows/ci.yml names.
public-api:
    cargo +nightly public-api -p floe --all-features -sss > docs/public-api.txt

# Undefined behaviour in what a region on the heap reaches, and in maps that are carried over. `just miri
# lines_that` runs tests with that name, unit tests too; needs Miri and a nightly toolchain.
miri *filter:
    MIRIFLAGS='{{ miriflags }}' cargo +nightly miri test -p floe --locked --test heap_backing -- {{ filter }}
    MIRIFLAGS='{{ miriflags }}' cargo +nightly miri test -p floe --locked --lib -- {{ if filter == "" { "map::" } else { filter } }}

# rkyv's relative pointers lead out of the field that a reference is to, which only Tree Borrows allow.
# A region holds the time of its making, which isolation hides.
miriflags := "-Zmiri-tree-borrows -Zmiri-disable-isolation -Zmiri-symbolic-alignment-check"

# Licences, advisories and sources of all dependencies; needs cargo-deny.
deny:
    cargo deny check
