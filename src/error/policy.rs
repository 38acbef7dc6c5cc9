//! How policies contradict themselves.

/// Which two statements of a policy do not go together, or which one makes no sense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error, Hash)]
#[non_exhaustive]
pub enum PolicyError {
    /// A generation would expire before a rebuild is due.
    #[error("expire_after is shorter than refresh_after")]
    ExpiresBeforeRefresh,
    /// A statement about inputs stands in a policy that looks at none.
    #[error("{statement} is stated without inputs")]
    WithoutInputs {
        /// The method of `Policy`.
        statement: &'static str,
    },
    /// Stale data would be served for longer, but none ever gets stale.
    #[error("stale_if_error is stated without expire_after")]
    NeverStale,
    /// The jitter is not a share of a time.
    #[error("jitter is not a share between 0 and 1")]
    Jitter,
    /// The first pause after a failure is zero, or longer than the longest.
    #[error("backoff waits for no time, or for longer than its most")]
    Backoff,
    /// A bound of zero.
    #[error("max_entries or max_bytes leaves room for nothing")]
    NoRoom,
    /// Entries are bounded in a cache that is one value.
    #[error("entries are bounded, but a whole value has none; use Store::keyed")]
    WholeValue,
}
