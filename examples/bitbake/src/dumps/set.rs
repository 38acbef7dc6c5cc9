//! Python's sets, which JSON does not have.

use serde::{Deserialize, Deserializer, Serialize};

use crate::walk::cached;

cached! {
    /// A Python set of strings, written as `{"__set__": [..]}`.
    #[derive(Serialize, Deserialize)]
    pub(crate) struct Set {
        /// Sorted, so that equal sets are equal values however the source ordered them.
        #[serde(rename = "__set__", deserialize_with = "sorted")]
        pub members: Vec<String>,
    }
}

fn sorted<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let mut members = Vec::deserialize(deserializer)?;
    members.sort_unstable();
    Ok(members)
}
