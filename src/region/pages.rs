//! Images that come from several page files.
//!
//! An *image* is the bytes of a region in the order of memory. A *page file* is a sealed memfd that
//! holds pages of images: it begins with the header of the generation that wrote it. The *layout*
//! says which run of the image's pages comes from which run of pages of which file.

mod common;
pub(crate) mod layout;
mod opening;
mod origin;
mod page_file;
mod plan;
mod successor;

pub(super) use common::other_pages;
pub(crate) use layout::Run;
pub(super) use opening::Image;
pub(crate) use origin::PageFileStart;
pub(crate) use successor::Successor;

#[cfg(test)]
mod tests;
