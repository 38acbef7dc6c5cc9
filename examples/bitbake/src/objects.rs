//! Caches as an interpreter holds them: objects that count who uses them.

use std::sync::Arc;

use crate::walk::{Visitor, Walk};

/// A value of an interpreter. Whoever touches one holds it meanwhile, which writes its count: so
/// reading an inherited object copies the page that it lies in.
#[derive(Clone)]
pub(crate) enum Object {
    Text(Arc<str>),
    Bytes(Arc<[u8]>),
    Number(Arc<u64>),
    List(Arc<[Object]>),
}

impl Object {
    /// The object form of a value.
    pub(crate) fn of(value: &impl Walk) -> Self {
        let mut maker = Maker::default();
        value.walk(&mut maker);
        let object = maker.done.pop();
        object.unwrap_or_else(|| Self::List(Arc::default()))
    }
}

impl Walk for Object {
    fn walk(&self, visitor: &mut impl Visitor) {
        let held = self.clone();
        match &held {
            Self::Text(text) => visitor.text(text),
            Self::Bytes(bytes) => visitor.bytes(bytes),
            Self::Number(number) => visitor.number(**number),
            Self::List(items) => Self::walk_slice(items, visitor),
        }
    }
}

/// Puts objects together from the parts of a value.
#[derive(Default)]
struct Maker {
    done: Vec<Object>,
    /// Where in `done` the composites that are not ended yet start.
    open: Vec<usize>,
}

impl Visitor for Maker {
    fn text(&mut self, text: &str) {
        self.done.push(Object::Text(text.into()));
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.done.push(Object::Bytes(bytes.into()));
    }

    fn number(&mut self, number: u64) {
        self.done.push(Object::Number(number.into()));
    }

    fn begin(&mut self, _length: usize) {
        self.open.push(self.done.len());
    }

    fn end(&mut self) {
        if let Some(start) = self.open.pop() {
            let items = self.done.split_off(start);
            self.done.push(Object::List(items.into()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt;

    use super::*;
    use crate::walk::digest;

    impl fmt::Debug for Object {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Text(text) => write!(f, "{text:?}"),
                Self::Bytes(bytes) => write!(f, "b{bytes:?}"),
                Self::Number(number) => write!(f, "{number}"),
                Self::List(items) => write!(f, "{items:?}"),
            }
        }
    }

    #[test]
    fn an_object_reads_like_its_source() {
        let value = vec![Some("a".to_owned()), Some(String::new()), None];
        assert_eq!(digest(&(), &Object::of(&value)), digest(&(), &value));
        let (absent, present) = (Object::of(&None::<u64>), Object::of(&Some(0_u64)));
        assert_ne!(digest(&(), &absent), digest(&(), &present));
    }
}
