//! One walk over a region, on one thread or several.

use std::borrow::Cow;
use std::sync::{Mutex, PoisonError};

use super::paths::{Paths, Sums};
use super::table::{Row, Table};
use super::walk::Walk;
use super::{Census, Options};
use crate::inspect::dynamic::{
    Archive, Depth, Described, EntryFrames, EntryLayout, Fault, FaultKind, Frame, FrameKind, Read,
    Run,
};
use crate::sys::threads;

/// Entries that a thread takes at once.
const BATCH: usize = 256;
/// Bytes of the header of an entry.
const ENTRY_HEADER_LENGTH: u64 = 4;

pub(super) fn count(described: &Described, options: &Options) -> Read<Census> {
    let archive = described.archive();
    let root = described.description().root;
    let mut others = Others::default();
    let sums = match EntryLayout::new(described.description()) {
        Some(layout) => {
            others.header_length = match layout.slot() {
                None => ENTRY_HEADER_LENGTH,
                Some(_) => 0,
            };
            count_entries(archive, layout, options, &mut others)?
        }
        None => {
            let mut walk = Walk::new(archive);
            let at = archive.root()?;
            let place = walk.paths.root(root, Paths::root_name(archive.types, root));
            walk.value(place, Run { at, length: 0 }, Depth::default())?;
            let mut sums = Sums::default();
            walk.paths.sum_up(&mut sums);
            sums
        }
    };
    if let Some(progress) = options.progress {
        progress(archive.length(), archive.length());
    }
    let rest = archive.length().checked_sub(sums.bytes() + others.bytes());
    others.padding.bytes = rest.ok_or_else(|| {
        let archive = archive.length();
        Fault::new(0, FaultKind::Overlap { archive })
    })?;
    let (kinds, fields) = sums.rows(archive.types);
    Ok(Census {
        name: described.name().to_owned(),
        bytes: archive.length(),
        entries: described.entry_count().map(|_| others.headers.count),
        by_kind: others.table(kinds),
        by_path: others.table(fields),
    })
}

/// Bytes that belong to no value.
#[derive(Debug, Default)]
struct Others {
    /// Bytes of the header of an entry.
    header_length: u64,
    headers: Row,
    garbage: Row,
    free: Row,
    padding: Row,
}

impl Others {
    fn add(&mut self, frame: Frame) {
        let (row, bytes) = match frame.kind {
            FrameKind::Garbage => (&mut self.garbage, frame.length),
            FrameKind::Free => (&mut self.free, frame.length),
            FrameKind::Entry => (&mut self.headers, self.header_length),
        };
        row.count += 1;
        row.bytes += bytes;
        row.largest = row.largest.max(bytes);
    }

    fn bytes(&self) -> u64 {
        self.headers.bytes + self.garbage.bytes + self.free.bytes
    }

    fn table(&self, mut rows: Vec<Row>) -> Table {
        let named = [
            ("(entry headers)", &self.headers),
            ("(garbage)", &self.garbage),
            ("(free slots)", &self.free),
            ("(padding)", &self.padding),
        ];
        let others = named.into_iter().filter(|(_, row)| row.bytes > 0);
        rows.extend(others.map(|(name, row)| Row {
            name: name.to_owned(),
            path: vec![name.to_owned()],
            ..row.clone()
        }));
        Table::new(rows)
    }
}

/// Entries that no thread has taken yet.
struct Queue<'a> {
    entries: EntryFrames<'a>,
    others: &'a mut Others,
    /// A thread has failed: the others need not go on.
    failed: bool,
}

fn count_entries(
    archive: Archive<'_>,
    layout: EntryLayout,
    options: &Options,
    others: &mut Others,
) -> Read<Sums> {
    let queue = Mutex::new(Queue {
        entries: EntryFrames::new(archive, layout, 0, archive.length()),
        others,
        failed: false,
    });
    let walks = threads::on(options.threads.get(), || {
        let mut walk = Walk::new(archive);
        let walked = walk_batches(&mut walk, archive, layout, options, &queue);
        lock(&queue).failed |= walked.is_err();
        walked.map(|()| walk)
    });
    let mut sums = Sums::default();
    for walk in walks {
        walk?.paths.sum_up(&mut sums);
    }
    Ok(sums)
}

fn walk_batches<'a>(
    walk: &mut Walk<'a>,
    archive: Archive<'a>,
    layout: EntryLayout,
    options: &Options,
    queue: &Mutex<Queue<'a>>,
) -> Read<()> {
    let (key, value) = layout.types();
    let key = walk.paths.root(key, Cow::Borrowed("key"));
    let value = walk
        .paths
        .root(value, Paths::root_name(archive.types, value));
    let depth = Depth::default().inner(0)?;
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        take_batch(&mut lock(queue), archive, options, &mut batch)?;
        if batch.is_empty() {
            return Ok(());
        }
        for frame in batch.drain(..) {
            walk.enter(frame.at..frame.at + frame.length);
            let pair = layout.pair(frame);
            walk.value(
                key,
                Run {
                    at: pair.key,
                    length: 0,
                },
                depth,
            )?;
            walk.value(
                value,
                Run {
                    at: pair.value,
                    length: 0,
                },
                depth,
            )?;
        }
    }
}

/// Takes the next live entries; none if another thread failed.
fn take_batch(
    queue: &mut Queue<'_>,
    archive: Archive<'_>,
    options: &Options,
    batch: &mut Vec<Frame>,
) -> Read<()> {
    if queue.failed {
        return Ok(());
    }
    let mut end = None;
    while batch.len() < BATCH
        && let Some(frame) = queue.entries.next()
    {
        let frame = frame?;
        queue.others.add(frame);
        end = Some(frame.at);
        if frame.kind == FrameKind::Entry {
            batch.push(frame);
        }
    }
    if let (Some(progress), Some(end)) = (options.progress, end) {
        progress(end, archive.length());
    }
    Ok(())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
