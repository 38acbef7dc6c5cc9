//! Whether a bench measures, or only proves that it works.

/// Whether this is a test run: `cargo bench -- --test`, or `cargo test`, which gives no `--bench`.
pub fn is_test() -> bool {
    let given = |option: &str| std::env::args().any(|argument| argument == option);
    given("--test") || !given("--bench")
}
