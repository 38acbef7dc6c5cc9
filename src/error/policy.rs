//! Errors of policies.

/// Which statements of a policy contradict each other, or which one makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
#[non_exhaustive]
pub enum PolicyError {
    /// A generation would expire before a rebuild is due.
    #[error("expire_after is shorter than refresh_after")]
    ExpiresBeforeRefresh,
    /// A statement about inputs needs `revalidate_inputs`.
    #[error("{statement} is stated without revalidate_inputs")]
    WithoutInputs {
        /// The method of `Policy`.
        statement: &'static str,
    },
    /// Stale data would be served for longer, but no generation expires.
    #[error("stale_if_error is stated without expire_after")]
    NeverStale,
    /// The jitter is not between 0 and 1.
    #[error("jitter is not a share between 0 and 1")]
    Jitter,
    /// The first wait after a failure is zero, or longer than the longest wait.
    #[error("backoff begins with zero, or with more than its longest wait")]
    Backoff,
    /// A bound is zero.
    #[error("max_entries or max_bytes is zero")]
    NoRoom,
    /// Entries are bounded in a cache that is one value.
    #[error("a whole value has no entries to bound; use Store::keyed")]
    WholeValue,
}
