//! What Rust programs expect of every public type, whatever it is for.

use std::error::Error as StdError;
use std::fmt::{Debug, Display};
use std::hash::Hash;
use std::panic::{RefUnwindSafe, UnwindSafe};

use floe::error::{
    BrokerError, ChannelError, HeaderError, InheritanceError, NameError, PolicyError, ProcError,
    RegionPart, SectionKind, SpawnError, WorkerError,
};
use floe::{census, dynamic, inputs, map, prefork, schema, store, usage};

type Names = floe::Map<String, u64>;

fn moves_between_threads<T: Send + Sync + Debug>() {}

#[test]
fn handles_owners_and_iterators_are_for_all_threads() {
    moves_between_threads::<floe::Frozen<Vec<String>>>();
    moves_between_threads::<floe::Frozen<Names>>();
    moves_between_threads::<floe::Region>();
    moves_between_threads::<map::ArchivedMap<String, u64>>();
    moves_between_threads::<map::Iter<'_, String, u64>>();
    moves_between_threads::<map::Keys<'_, String, u64>>();
    moves_between_threads::<map::Values<'_, String, u64>>();
    moves_between_threads::<map::GetMany<'_, String, u64, std::slice::Iter<'_, String>>>();
    moves_between_threads::<map::MapShard>();
    moves_between_threads::<floe::Publisher>();
    moves_between_threads::<floe::Live<Names>>();
    moves_between_threads::<floe::Watch>();
    moves_between_threads::<floe::Broker>();
    moves_between_threads::<floe::Client>();
    moves_between_threads::<floe::Counters>();
    moves_between_threads::<floe::Counter<'_>>();
    moves_between_threads::<floe::Store>();
    moves_between_threads::<floe::Cache<Names>>();
    moves_between_threads::<floe::Policy>();
    moves_between_threads::<store::Background>();
    moves_between_threads::<prefork::Pool<u64>>();
    moves_between_threads::<dynamic::Described>();
    moves_between_threads::<dynamic::Dynamic<'_>>();
    moves_between_threads::<dynamic::Entries<'_>>();
    moves_between_threads::<dynamic::Items<'_>>();
    moves_between_threads::<dynamic::Fields<'_>>();
    moves_between_threads::<floe::Clock>();
}

/// Nobody shares a builder: all that it does wants it alone.
#[test]
fn builders_are_sent() {
    fn is_sent<T: Send + Debug>() {}
    is_sent::<floe::MapBuilder<String, u64>>();
}

fn is_data<T: Send + Sync + Debug + Clone + PartialEq + UnwindSafe + RefUnwindSafe>() {}

fn is_plain<T: Copy + Debug + Eq + Hash + Send + Sync>() {}

#[test]
fn data_is_cloned_and_compared() {
    is_data::<census::Census>();
    is_data::<census::Table>();
    is_data::<census::Row>();
    is_data::<usage::Table>();
    is_data::<usage::MappedRegion>();
    is_data::<floe::ChannelStatus>();
    is_data::<store::Report>();
    is_data::<store::CacheReport>();
    is_data::<store::Status>();
    is_data::<floe::Facts>();
    is_data::<inputs::Change>();
    is_data::<inputs::Difference>();
    is_data::<inputs::DirectoryEntry>();
    is_data::<schema::Description>();
    is_data::<prefork::Exit<u64>>();
    is_data::<HeaderError>();
    is_data::<WorkerError>();
    is_data::<floe::Verdict>();
    is_plain::<floe::Advice>();
    is_plain::<floe::Moment>();
    is_plain::<schema::Fingerprint>();
    is_plain::<schema::TypeIndex>();
    is_plain::<schema::FieldStyle>();
    is_plain::<schema::NoneMark>();
    is_plain::<SectionKind>();
    is_plain::<RegionPart>();
    is_plain::<store::Outcome>();
    is_plain::<inputs::EntryKind>();
    is_plain::<prefork::Worker>();
    is_plain::<NameError>();
    is_plain::<PolicyError>();
    is_plain::<InheritanceError>();
}

fn is_error<T: StdError + Display + Send + Sync + 'static>() {}

fn becomes<T: From<F>, F>() {}

#[test]
fn errors_travel_as_boxes_and_by_the_question_mark() {
    is_error::<floe::Error>();
    is_error::<ProcError>();
    is_error::<NameError>();
    is_error::<PolicyError>();
    is_error::<InheritanceError>();
    is_error::<WorkerError>();
    becomes::<floe::Error, SpawnError>();
    becomes::<floe::Error, HeaderError>();
    becomes::<floe::Error, ChannelError>();
    becomes::<floe::Error, BrokerError>();
}
