# The daily commands. `just` lists them; https://just.systems says how to install it. Each line also works by itself.

_default:
    @just --list --unsorted

# Shows a photograph becoming thumbnails, and leaves the server running.
demo:
    cargo run --locked -- demo

# Starts the server on 127.0.0.1:8080, with its data in ./cloakroom-data.
run *arguments:
    cargo run --locked -- {{ arguments }}

# Runs all tests on embedded and real engines. Arguments go to `cargo test`.
test *arguments:
    tests/run {{ arguments }}

# Runs the tests that need no engine.
test-embedded *arguments:
    CLOAKROOM_TEST_ENGINES=none tests/run {{ arguments }}

# Formats the code, then runs the checks of .ci/run except the tests and the OpenAPI document.
check:
    cargo fmt --all
    CLOAKROOM_CI_STEPS=quick .ci/run

# Checks everything that must hold before a change lands.
ci:
    .ci/run

# Injects random faults for this many seconds.
soak seconds="60":
    CLOAKROOM_SOAK_SECONDS={{ seconds }} tests/run --test soak -- --nocapture

# Writes the OpenAPI document that the tests compare with.
snapshot:
    UPDATE_SNAPSHOTS=1 cargo test --locked -p api --test contract openapi::

# Fuzzes one target of the picture engine: probe, jpeg or engine.
fuzz target seconds="300":
    mkdir -p fuzz/corpus/{{ target }}
    RUSTC_BOOTSTRAP=1 cargo fuzz run --sanitizer none {{ target }} fuzz/corpus/{{ target }} crates/picture/tests/pictures -- -max_total_time={{ seconds }}
