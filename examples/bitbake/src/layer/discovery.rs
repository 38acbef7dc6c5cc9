//! Finds the files of a tree that have a metadata ending, and reads their text.

use std::fs;
use std::path::{Path, PathBuf};

use floe::Inputs;
use floe::inputs::EntryKind;

use crate::statements::problem;

/// The endings of the names of metadata files.
const ENDINGS: [&str; 5] = ["bb", "bbclass", "bbappend", "inc", "conf"];

/// What follows the last point of a path.
pub(super) fn ending(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(_, ending)| ending)
}

/// The files of a tree that have a metadata ending, by their path in it, sorted. Links to folders
/// and hidden folders are not entered. The listings of all folders are recorded as inputs.
pub(crate) fn files(root: &Path, inputs: &mut Inputs) -> floe::Result<Vec<String>> {
    let mut found = Vec::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in inputs.read_dir(root.join(&folder))?.unwrap_or_default() {
            let path = folder.join(&entry.name);
            let (Some(name), Some(text)) = (entry.name.to_str(), path.to_str()) else {
                continue;
            };
            match entry.kind {
                EntryKind::Directory if !name.starts_with('.') => folders.push(path),
                EntryKind::Directory | EntryKind::Other => {}
                EntryKind::File | EntryKind::Symlink if !ENDINGS.contains(&ending(name)) => {}
                EntryKind::File => found.push(text.to_owned()),
                EntryKind::Symlink => {
                    let target = inputs.stat(root.join(&path))?;
                    found.extend(target.filter(|it| it.is_file()).map(|_| text.to_owned()));
                }
            }
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// The text of a file, or what keeps it from being read.
pub(super) fn read_text(root: &Path, path: &str) -> Result<String, String> {
    let failed = |error| problem(path, 0, format_args!("cannot read the file: {error}"));
    let bytes = fs::read(root.join(path)).map_err(failed)?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let before = String::from_utf8_lossy(&error.as_bytes()[..valid]);
        let line = 1 + before.matches('\n').count();
        let what = format_args!("byte {valid} is not UTF-8: save the file as UTF-8");
        problem(path, line, what)
    })
}

/// Whether BitBake would parse a file with such an ending. Of `.conf` files those in a layer's
/// `conf` folder: others are files that recipes install. `.wks.inc` are parts of disk layouts.
pub(crate) fn is_metadata(path: &str) -> bool {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let folders = folders.split('/');
    let mut folders = folders.take_while(|name| !name.starts_with("recipes-"));
    match ending(file) {
        "inc" => !file.ends_with(".wks.inc"),
        "conf" => folders.any(|name| name == "conf"),
        ending => ENDINGS.contains(&ending),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn metadata_is_told_from_what_recipes_install() {
        let metadata = "a.bb x/y.bbclass b.bbappend c.inc conf/d.conf m/conf/x/e.conf";
        for path in metadata.split(' ') {
            assert!(is_metadata(path), "{path}");
        }
        let others = "bb x.conf recipes-x/conf/a.conf lib/conf.conf a.wks.inc a.patch";
        for path in others.split(' ') {
            assert!(!is_metadata(path), "{path}");
        }
    }

    #[test]
    fn links_are_followed_to_files_only() {
        let tree = tempfile::tempdir().expect("a folder");
        let path = |name: &str| tree.path().join(name);
        fs::create_dir(path("b")).expect("a folder");
        fs::create_dir(path(".git")).expect("a folder");
        fs::write(path(".git/hidden.bb"), "").expect("a file");
        fs::write(path("b/a.bb"), "").expect("a file");
        let link = |target, name| symlink(target, path(name)).expect("a link");
        link("b/a.bb", "link.bb");
        link("b", "loop.bb");
        link("none", "broken.bb");
        link("/dev/null", "n.bb");
        let found = files(tree.path(), &mut Inputs::new()).expect("a tree");
        assert_eq!(found, ["b/a.bb", "link.bb"]);
    }
}
