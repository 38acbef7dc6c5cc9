//! Tests that look at, or change, what belongs to the whole process.

use std::env;
use std::os::unix::process::CommandExt;
use std::process::Command;

/// Set in the process in which a body runs.
const MARK: &str = "FLOE_TEST_ALONE";

/// Runs the body of the test called `test` in a process of its own, so that no other test opens
/// descriptors or maps memory meanwhile.
#[track_caller]
pub fn alone(test: &str, body: impl FnOnce()) {
    under("exec \"$@\"", test, body);
}

/// The same under a shell's settings, such as `ulimit` or `umask`; the script ends in `exec "$@"`.
#[track_caller]
pub fn under(script: &str, test: &str, body: impl FnOnce()) {
    if env::var_os(MARK).is_some() {
        return body();
    }
    let output = Command::new("/bin/sh")
        .arg0("sh")
        .args(["-c", script, "sh"])
        .arg(env::current_exe().unwrap())
        .args(["--exact", test, "--test-threads=1", "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{test} failed on its own: {}\n{text}{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
