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
    let (mut sums, mut others) = (Sums::default(), Others::default());
    for (name, root) in described.roots() {
        sums.prefix = Some(format!("{name}: "));
        count_root(root, options, &mut sums, &mut others)?;
    }
    if described.roots().len() == 0 {
        count_root(described, options, &mut sums, &mut others)?;
    }
    if let Some(progress) = options.progress {
        progress(archive.length(), archive.length());
    }
    let length = archive.length() - described.start();
    let rest = length.checked_sub(sums.bytes() + others.bytes());
    others.padding.bytes =
        rest.ok_or_else(|| Fault::new(0, FaultKind::Overlap { archive: length }))?;
    let (kinds, fields) = sums.rows(archive.types);
    Ok(Census {
        name: described.name().to_owned(),
        bytes: length,
        entries: described.entry_count().map(|_| others.headers.count),
        pages: described.pages(),
        by_kind: others.table(kinds),
        by_path: others.table(fields),
    })
}

/// Counts a value that is alone in a region, or one of its roots.
fn count_root(
    described: &Described,
    options: &Options,
    sums: &mut Sums,
    others: &mut Others,
) -> Read<()> {
    let (archive, root) = (described.archive(), described.root_type());
    if let Some(layout) = EntryLayout::new(archive.types, root) {
        others.header_length = match layout.slot() {
            None => ENTRY_HEADER_LENGTH,
            Some(_) => 0,
        };
        let frames = EntryFrames::new(archive, layout, described.start(), archive.length());
        return count_entries(frames, options, sums, others);
    }
    let mut walk = Walk::new(archive);
    walk.enter(described.start()..archive.length());
    let at = archive.root()?;
    let place = walk.paths.root(root, Paths::root_name(archive.types, root));
    walk.value(place, Run { at, length: 0 }, Depth::default())?;
    walk.paths.sum_up(sums);
    Ok(())
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
            is_overhead: true,
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
    entries: EntryFrames<'_>,
    options: &Options,
    sums: &mut Sums,
    others: &mut Others,
) -> Read<()> {
    let (archive, layout) = (entries.archive(), entries.layout());
    let queue = Mutex::new(Queue {
        entries,
        others,
        failed: false,
    });
    let walks = threads::on(options.threads.get(), || {
        let mut walk = Walk::new(archive);
        let walked = walk_batches(&mut walk, archive, layout, options, &queue);
        lock(&queue).failed |= walked.is_err();
        walked.map(|()| walk)
    });
    for walk in walks {
        walk?.paths.sum_up(sums);
    }
    Ok(())
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
