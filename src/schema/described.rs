//! Descriptions that a process makes once.
#![forbid(unsafe_code)]

use std::any::TypeId;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, RwLock};

use super::{Description, TypeIndex, Types};
use crate::error::Fingerprint;

/// A [`Description`], and what follows from it.
#[derive(Debug)]
pub struct Described {
    description: Description,
    json: Vec<u8>,
    fingerprint: Fingerprint,
}

/// Those that were made, by their types.
///
/// Nobody waits for the lock: a process that was forked while another thread had it finds it locked
/// for ever, and makes its descriptions anew.
static KNOWN: RwLock<BTreeMap<TypeId, Arc<Described>>> = RwLock::new(BTreeMap::new());

impl Described {
    /// The description of a type, which the function makes if it is not known.
    pub(crate) fn of(id: TypeId, describe: impl FnOnce(&mut Types) -> TypeIndex) -> Arc<Self> {
        if let Ok(known) = KNOWN.try_read()
            && let Some(described) = known.get(&id)
        {
            return Arc::clone(described);
        }
        // While it is made, the lock is free: types describe the others in them.
        let described = Arc::new(Self::from(Description::by(describe)));
        if let Ok(mut known) = KNOWN.try_write() {
            known.insert(id, Arc::clone(&described));
        }
        described
    }

    /// The description as JSON.
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// The fingerprint of that.
    pub(crate) fn fingerprint(&self) -> Fingerprint {
        self.fingerprint
    }
}

impl From<Description> for Described {
    fn from(description: Description) -> Self {
        let json = description.to_json();
        Self {
            fingerprint: Fingerprint::of_json(&json),
            json,
            description,
        }
    }
}

impl Deref for Described {
    type Target = Description;

    fn deref(&self) -> &Description {
        &self.description
    }
}

#[cfg(test)]
mod tests {
    use rkyv::Archived;

    use super::*;
    use crate::schema::Schema;

    /// By the type `Id`, which nothing else has.
    fn described<Id: 'static>() -> Arc<Described> {
        Described::of(TypeId::of::<Id>(), Archived::<String>::describe)
    }

    #[test]
    fn descriptions_are_made_once_and_a_lock_is_not_waited_for() {
        struct Once;
        struct Locked;
        let first = described::<Once>();
        assert_eq!(first.json(), first.to_json());
        assert_eq!(first.fingerprint(), (**first).fingerprint());
        // Other tests may have the lock for a moment.
        let again = || Arc::ptr_eq(&described::<Once>(), &described::<Once>());
        assert!((0..1000).any(|_| again()));
        let held = KNOWN.write().unwrap();
        let locked = described::<Locked>();
        assert!(!Arc::ptr_eq(&locked, &described::<Locked>()));
        drop(held);
        assert_eq!(locked.fingerprint(), described::<Locked>().fingerprint());
    }
}
