//! The same without floe: entries are serialised, go through pipes, and are put into a hash map.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::time::Instant;

use floe::prefork::{self, Worker};

use super::{CodeCaches, Gate, Gates, Share, open};
use crate::Result;
use crate::code::{CodeHash, PythonCode, ShellCode};

/// What came through the pipes.
pub(super) struct Pickled {
    pub(super) caches: CodeCaches,
    pub(super) seconds: f64,
    pub(super) bytes: u64,
}

/// What one parser sends.
type Sent = (Vec<(CodeHash, ShellCode)>, Vec<(CodeHash, PythonCode)>);

pub(super) fn parse<'a>(parsers: usize, share: &dyn Fn(Worker) -> Share<'a>) -> Result<Pickled> {
    let gates = Gates::new(parsers)?;
    let pipes = (0..parsers).map(|_| io::pipe());
    let pipes: Vec<(PipeReader, PipeWriter)> = pipes.collect::<io::Result<_>>()?;
    let pipes = RefCell::new(pipes);
    let pool = prefork::spawn(parsers, |worker| {
        let mut gate = gates.of_parser(worker.index());
        let (_, mut pipe) = pipes.take().swap_remove(worker.index());
        let mut found = Sent::default();
        let (shell, python) = (&mut found.0, &mut found.1);
        let parsed = share(worker).parse(
            |hash, code| {
                shell.push((hash, code));
                Ok(())
            },
            |hash, code| {
                python.push((hash, code));
                Ok(())
            },
        );
        let send = || -> Result<()> {
            parsed?;
            gate.pass()?;
            pipe.write_all(&postcard::to_stdvec(&found)?)?;
            drop(pipe);
            // As parsers that seal: that processes end is no part of what is measured.
            Ok(gate.pass()?)
        };
        send().map_err(|error| error.to_string())
    })?;
    // A pipe ends when nobody has its other end any more.
    let readers = pipes.take().into_iter().map(|(reader, _)| reader);
    let readers: Vec<PipeReader> = readers.collect();
    let mut gates = gates.of_owner();
    open(&mut gates)?;
    let start = Instant::now();
    let mut shell: HashMap<CodeHash, ShellCode> = HashMap::new();
    let mut python: HashMap<CodeHash, PythonCode> = HashMap::new();
    let (mut bytes, mut all) = (Vec::new(), 0);
    for mut reader in readers {
        bytes.clear();
        all += reader.read_to_end(&mut bytes)? as u64;
        let (more_shell, more_python): Sent = postcard::from_bytes(&bytes)?;
        for (hash, code) in more_shell {
            shell.entry(hash).or_insert(code);
        }
        for (hash, code) in more_python {
            python.entry(hash).or_insert(code);
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    gates.iter_mut().try_for_each(Gate::tell)?;
    pool.join()?.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(Pickled {
        caches: CodeCaches {
            shell: shell.into_iter().collect(),
            python: python.into_iter().collect(),
        },
        seconds,
        bytes: all,
    })
}
