//! The roots of a region that has several.

use std::iter::FusedIterator;

use super::described::Described;
use crate::error::{Error, Result, RootError};

/// Roots by their names, in the order of declaration.
#[derive(Debug, Default)]
pub(crate) struct NamedRoots(pub(super) Vec<(String, Described)>);

impl NamedRoots {
    pub(super) fn iter(&self) -> RootValues<'_> {
        RootValues(self.0.iter())
    }
}

/// Names and values of the roots of a region that has several, in the order of declaration.
#[derive(Debug, Clone)]
pub struct RootValues<'a>(std::slice::Iter<'a, (String, Described)>);

impl<'a> Iterator for RootValues<'a> {
    type Item = (&'a str, &'a Described);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, root) = self.0.next()?;
        Some((name, root))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for RootValues<'_> {}
impl FusedIterator for RootValues<'_> {}

impl Described {
    /// The roots of a region that has [several](crate::roots); none of any other.
    ///
    /// ```
    /// use floe::dynamic::Described;
    /// use floe::{Frozen, Map, Root, Roots, RootsBuilder};
    ///
    /// #[derive(Roots)]
    /// struct Caches {
    ///     versions: Root<Map<String, String>>,
    ///     layers: Root<Vec<String>>,
    /// }
    ///
    /// let caches: Frozen<Caches> = RootsBuilder::new("caches")?
    ///     .map(Caches::VERSIONS, [("zlib".to_owned(), "1.3.1".to_owned())])?
    ///     .value(Caches::LAYERS, &vec!["core".to_owned()])?
    ///     .finish()?;
    /// let described = Described::of(&caches)?;
    /// let json = serde_json::to_string(&described.root()?).unwrap();
    /// assert_eq!(json, r#"{"versions":{"zlib":"1.3.1"},"layers":["core"]}"#);
    ///
    /// let versions = described.named("versions")?;
    /// assert_eq!(versions.entry_count(), Some(1));
    /// assert!(versions.get("zlib")?.is_some());
    /// # Ok::<(), floe::Error>(())
    /// ```
    #[must_use]
    pub fn roots(&self) -> RootValues<'_> {
        self.named_roots().iter()
    }

    /// The root of a name, read as if it were alone in the region.
    ///
    /// # Errors
    /// [`Error::Root`] if there is none.
    pub fn named(&self, name: &str) -> Result<&Self> {
        let found = self.roots().find(|(root, _)| *root == name);
        found.map(|(_, root)| root).ok_or_else(|| Error::Root {
            name: self.name().to_owned(),
            root: name.to_owned(),
            reason: RootError::Missing {
                known: self.roots().map(|(root, _)| root.to_owned()).collect(),
            },
        })
    }
}
