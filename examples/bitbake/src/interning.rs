//! How fields are frozen that repeat each other: what is equal is written once.

use floe::Intern;
use rkyv::with::{Map, MapKV};

/// A list of texts.
pub(crate) type List = Intern<Map<Intern>>;
/// A text, or a set, for each name.
pub(crate) type Texts = Intern<MapKV<Intern, Intern>>;
/// A list of texts for each name.
pub(crate) type Lists = Intern<MapKV<Intern, List>>;
