//! Finds the files of a tree that have a metadata ending, and reads their text.

use std::fs;
use std::io;
use std::path::Path;

use crate::statements::{Rules, problem};

/// The files of a tree that have a metadata ending, by their path in it, sorted.
pub(crate) struct Found {
    pub paths: Vec<String>,
    pub problems: Vec<String>,
}

/// Finds every file with a metadata ending under `root`. Links to folders and hidden folders are not entered; a folder
/// that cannot be listed is a problem, except `root` itself, which is an error.
pub(crate) fn files(root: &Path) -> io::Result<Found> {
    let mut found = Found {
        paths: vec![],
        problems: vec![],
    };
    let mut folders = vec![];
    found.list(root, "", &mut folders)?;
    while let Some(folder) = folders.pop() {
        if let Err(error) = found.list(root, &folder, &mut folders) {
            let what = format_args!("cannot list the folder: {error}");
            found.problems.push(problem(&folder, 0, what));
        }
    }
    found.paths.sort_unstable();
    found.problems.sort_unstable();
    Ok(found)
}

/// The text of a file, or what keeps it from being read.
pub(super) fn read_text(root: &Path, path: &str) -> Result<String, String> {
    let bytes = fs::read(root.join(path))
        .map_err(|error| problem(path, 0, format_args!("cannot read the file: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = String::from_utf8_lossy(&error.as_bytes()[..valid])
            .matches('\n')
            .count()
            + 1;
        let what = format_args!("byte {valid} is not UTF-8: save the file as UTF-8");
        problem(path, line, what)
    })
}

/// The rules that the metadata file `path` follows.
pub(crate) fn rules_of(path: &str) -> Rules {
    if path.ends_with(".conf") {
        Rules::Configuration
    } else {
        Rules::Recipe
    }
}

/// Whether the file has the ending of metadata.
pub(crate) fn has_ending(path: &str) -> bool {
    let ending = path.rsplit_once('.').map(|(_, ending)| ending);
    matches!(ending, Some("bb" | "bbclass" | "bbappend" | "inc" | "conf"))
}

/// Whether BitBake would parse a file with such an ending. Of `.conf` files those in a layer's `conf` folder: others are
/// files that recipes install. `.wks.inc` are parts of disk layouts.
pub(crate) fn is_metadata(path: &str) -> bool {
    let (folders, file) = path.rsplit_once('/').unwrap_or(("", path));
    let Some((stem, ending)) = file.rsplit_once('.') else {
        return false;
    };
    match ending {
        "bb" | "bbclass" | "bbappend" => true,
        "inc" => !stem.ends_with(".wks"),
        "conf" => {
            let mut folders = folders
                .split('/')
                .take_while(|name| !name.starts_with("recipes-"));
            folders.any(|name| name == "conf")
        }
        _ => false,
    }
}

impl Found {
    fn list(&mut self, root: &Path, folder: &str, folders: &mut Vec<String>) -> io::Result<()> {
        for entry in fs::read_dir(root.join(folder))? {
            let entry = entry?;
            let name = entry.file_name();
            let Some(name) = name.to_str() else {
                let path = format!("{folder}/{}", name.display());
                self.problems
                    .push(problem(&path, 0, "the name is not UTF-8: rename the file"));
                continue;
            };
            let path = if folder.is_empty() {
                name.into()
            } else {
                format!("{folder}/{name}")
            };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                if !name.starts_with('.') {
                    folders.push(path);
                }
            } else if has_ending(&path) {
                // What is neither a file nor a link to one, such as a pipe, might never be read to its end.
                let what = match fs::metadata(entry.path()) {
                    Ok(metadata) if metadata.is_dir() => continue,
                    Ok(metadata) if metadata.is_file() => {
                        self.paths.push(path);
                        continue;
                    }
                    Ok(_) => "not a regular file: remove it".into(),
                    Err(error) => format!("cannot read the file: {error}"),
                };
                self.problems.push(problem(&path, 0, what));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_told_from_what_recipes_install() {
        for path in [
            "a.bb",
            "x/y.bbclass",
            "b.bbappend",
            "c.inc",
            "conf/d.conf",
            "m/conf/x/e.conf",
        ] {
            assert!(is_metadata(path), "{path}");
        }
        for path in [
            "bb",
            "x.conf",
            "recipes-x/conf/a.conf",
            "lib/conf.conf",
            "a.wks.inc",
            "a.patch",
        ] {
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
        for (target, name) in [
            ("b/a.bb", "link.bb"),
            ("b", "loop.bb"),
            ("none", "broken.bb"),
            ("/dev/null", "n.bb"),
        ] {
            std::os::unix::fs::symlink(target, path(name)).expect("a link");
        }
        let found = files(tree.path()).expect("a tree");
        assert_eq!(found.paths, ["b/a.bb", "link.bb"]);
        assert_eq!(found.problems.len(), 2);
        assert!(
            found.problems[0].starts_with("broken.bb:") && found.problems[1].starts_with("n.bb:")
        );
    }
}
