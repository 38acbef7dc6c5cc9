//! `floe watch`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use floe::Frozen;
use serde_json::Value;

use crate::brokers::{Served, publisher};
use crate::floe;

/// A watch of a broker that asks often, and what it writes.
fn watch(served: &Served, arguments: &[&str]) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_floe"))
        .args(["watch", &served.path, "--every=0.001"])
        .args(arguments)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let output = BufReader::new(child.stdout.take().unwrap());
    (child, output)
}

fn next(output: &mut impl BufRead) -> Value {
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    serde_json::from_str(&line).unwrap()
}

/// Each table is the next state, so no table is written twice.
#[test]
fn each_change_is_a_table_until_the_broker_ends() {
    let cache = publisher(&Frozen::freeze("watched", &1_u8).unwrap());
    let other = publisher(&Frozen::freeze("other", &1_u8).unwrap());
    let served = Served::of([&cache]);
    let (mut child, mut output) = watch(&served, &["--format=json"]);
    assert_eq!(next(&mut output)[0]["generation"], 1);
    // Meanwhile it asks many times.
    for _ in 0..5 {
        floe(["ls", &served.path]).good();
    }
    cache.publish(&cache.freeze(&2_u8).unwrap()).unwrap();
    assert_eq!(next(&mut output)[0]["generation"], 2);
    cache.note(None, Some("it rained".to_owned())).unwrap();
    assert_eq!(next(&mut output)[0]["last_error"], "it rained");
    cache
        .set_expire_after(Some(std::time::Duration::ZERO))
        .unwrap();
    cache.renew().unwrap();
    assert_eq!(next(&mut output)[0]["expires_in_seconds"], 0.0);
    served.broker.offer(&other).unwrap();
    assert_eq!(next(&mut output)[0]["name"], "other");

    drop(served);
    let (mut rest, mut errors) = (String::new(), String::new());
    output.read_to_string(&mut rest).unwrap();
    let mut stderr = child.stderr.take().unwrap();
    stderr.read_to_string(&mut errors).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1));
    assert_eq!((rest.as_str(), errors.lines().count()), ("", 1));
    assert!(errors.contains("is its owner running?"), "{errors}");
}

/// It notices that its reader has gone although there is nothing to write.
#[test]
fn it_ends_with_its_reader() {
    let served = Served::of([&publisher(&Frozen::freeze("still", &1_u8).unwrap())]);
    let (child, mut output) = watch(&served, &[]);
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert!(line.starts_with("NAME "), "{line:?}");
    drop(output);
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        (output.status.code(), output.stderr.as_slice()),
        (Some(0), &b""[..])
    );
}
