//! The same caches in this library and on the heap of a Rust program, measured by the library's
//! example `bitbake`, which has a type for every field of them.

use std::fs;
use std::process::Command;

use serde::Deserialize;

use super::cpython::last_line;
use super::{Caches, Row};
use crate::machine;

const LIBRARY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.toml");

/// What the example tells, as far as it is asked.
#[derive(Debug, Deserialize)]
struct Report {
    inherited: Measured,
    inherited_refcounted: Measured,
    frozen: Measured,
}

/// One number for each worker.
#[derive(Debug, Deserialize)]
struct Measured {
    uss_after_fork: Vec<u64>,
    uss_after_read: Vec<u64>,
    pss_after_read: Vec<u64>,
    read_seconds: Vec<f64>,
    uss_after_drop: Vec<u64>,
}

/// Runs the example.
pub fn measure(caches: Caches<'_>) -> Vec<Row> {
    match report(caches) {
        Err(reason) => vec![caches.skipped("floe", reason)],
        Ok(report) => [
            ("floe", report.frozen),
            ("heap", report.inherited),
            ("heap counted", report.inherited_refcounted),
        ]
        .into_iter()
        .flat_map(|(contender, measured)| rows(contender, caches, &measured))
        .collect(),
    }
}

fn report(caches: Caches<'_>) -> Result<Report, String> {
    let directory = machine::memory_directory().map_err(|failure| failure.to_string())?;
    let json = directory.path().join("report.json");
    let mut command = Command::new("cargo");
    command
        .args([
            "run",
            "--quiet",
            "--release",
            "--manifest-path",
            LIBRARY,
            "--package",
            "bitbake",
        ])
        .arg("--")
        .arg("--caches")
        .arg(caches.directory)
        .args(["--workers", &caches.workers.to_string()])
        .arg("--json")
        .arg(&json);
    let output = command
        .output()
        .map_err(|error| format!("cargo cannot be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the example failed: {}", last_line(&output.stderr)));
    }
    fs::read(&json)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))
        .map_err(|reason| format!("the example's report cannot be read: {reason}"))
}

fn rows(contender: &'static str, caches: Caches<'_>, measured: &Measured) -> [Row; 3] {
    let row = |operation, uss: &[u64], pss: Option<&[u64]>, seconds: &[f64]| {
        let pss = pss.map(|pss| pss.iter().sum::<u64>() / pss.len().max(1) as u64);
        let memory = (uss.iter().max().copied(), pss);
        caches.measured(contender, operation, memory, seconds)
    };
    let read_pss = Some(&*measured.pss_after_read);
    [
        row("fork", &measured.uss_after_fork, None, &[]),
        row(
            "read",
            &measured.uss_after_read,
            read_pss,
            &measured.read_seconds,
        ),
        row("clear", &measured.uss_after_drop, None, &[]),
    ]
}
