//! What the file system of a directory cannot do, and does not need to.

use std::collections::BTreeMap;

/// What a file system lacks, and whether a report has said so.
#[derive(Debug, Default)]
pub(in crate::store) struct Lacks(BTreeMap<String, bool>);

impl Lacks {
    pub(super) fn note(&mut self, what: &str) {
        self.0.entry(what.to_owned()).or_insert(false);
    }

    /// What no report has said yet.
    pub(in crate::store) fn report_new(&mut self) -> Vec<String> {
        let new = self.0.iter_mut().filter(|(_, reported)| !**reported);
        let new = new.map(|(what, reported)| {
            *reported = true;
            what.clone()
        });
        new.collect()
    }

    pub(in crate::store) fn all(&self) -> Vec<String> {
        self.0.keys().cloned().collect()
    }
}
