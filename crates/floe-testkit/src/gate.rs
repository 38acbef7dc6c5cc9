//! Keeps a worker and its owner in step, over two pipes.

use std::io::{self, PipeReader, PipeWriter, Read, Write, pipe};

/// The owner's side. If the worker dies, waiting for it is an error, not a hang.
pub struct Gate {
    arrivals: PipeReader,
    openings: PipeWriter,
}

/// The worker's side.
pub struct WorkerGate {
    arrivals: PipeWriter,
    openings: PipeReader,
}

impl Gate {
    pub fn pair() -> io::Result<(Self, WorkerGate)> {
        let (arrived, arrivals) = pipe()?;
        let (openings, open) = pipe()?;
        Ok((
            Self {
                arrivals: arrived,
                openings: open,
            },
            WorkerGate { arrivals, openings },
        ))
    }

    /// Waits until the worker stands at the gate.
    pub fn await_arrival(&mut self) -> io::Result<()> {
        self.arrivals.read_exact(&mut [0])
    }

    /// Lets the worker go on.
    pub fn open(&mut self) -> io::Result<()> {
        self.openings.write_all(&[0])
    }
}

impl WorkerGate {
    /// Tells the owner that this worker is here, and waits until it may go on.
    pub fn pass(&mut self) -> io::Result<()> {
        self.arrivals.write_all(&[0])?;
        self.openings.read_exact(&mut [0])
    }
}
