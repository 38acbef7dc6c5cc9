//! `floe names`, and regions by POSIX names.

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;

use floe::posix::Publication;

use crate::{floe, recipes};

/// An object that no other test has, and is removed in the end.
struct Object {
    name: String,
    publication: Option<Publication>,
}

impl Object {
    fn new(name: &str) -> Self {
        Self {
            name: format!("floe-cli-{}-{name}", std::process::id()),
            publication: None,
        }
    }

    fn published(name: &str, count: u32) -> Self {
        let mut object = Self::new(name);
        let published = recipes(count).region().publish_posix(&object.name);
        object.publication = Some(published.unwrap());
        object
    }

    /// One as an owner leaves it that dies: nobody holds its lock.
    fn left(name: &str) -> Self {
        let (object, frozen) = (Self::new(name), recipes(3));
        frozen.region().save(object.path()).unwrap();
        let file = File::open(object.path()).unwrap();
        let created = FileTimes::new().set_modified(frozen.region().created());
        file.set_times(created).unwrap();
        object
    }

    fn target(&self) -> String {
        format!("posix:{}", self.name)
    }

    fn path(&self) -> PathBuf {
        PathBuf::from("/dev/shm").join(&self.name)
    }
}

impl Drop for Object {
    fn drop(&mut self) {
        drop(self.publication.take());
        let _ = fs::remove_file(self.path());
    }
}

#[test]
fn regions_are_found_by_posix_names() {
    let object = Object::published("found", 40);
    let text = floe(["inspect", &object.target()]).good();
    assert!(text.contains("recipes, generation 1"), "{text}");
    assert!(
        text.contains("lies in     a POSIX shared memory object"),
        "{text}"
    );
    let text = floe(["verify", &object.target()]).good();
    assert!(
        text.starts_with("good") && !text.contains("seals"),
        "{text}"
    );
    let entry = floe(["dump", &object.target(), "recipe-7"]).json();
    assert!(entry.is_object(), "{entry}");
    let all = floe(["dump", &format!("posix:/{}", object.name)]).json();
    assert_eq!(all.as_object().unwrap().len(), 40);
    floe(["census", &object.target()]).good();
}

#[test]
fn bad_objects_are_refused_in_a_line() {
    let object = Object::new("bad");
    let line = floe(["verify", &object.target()]);
    assert_eq!(line.code, 1);
    let line = floe(["inspect", &object.target()]).refused(1);
    assert!(line.contains("its owner has not published it"), "{line}");
    for bad in ["posix:", "posix:a/b", "posix:.."] {
        let line = floe(["dump", bad]).refused(1);
        assert!(line.contains("cannot be used for a POSIX"), "{line}");
    }
    fs::write(object.path(), "no region").unwrap();
    let line = floe(["inspect", &object.target()]).refused(1);
    assert!(line.contains("expected the mode 0600"), "{line}");
}

/// The only test that sweeps: others would lose what they have left.
#[test]
fn what_dead_owners_left_is_swept() {
    let (living, left) = (Object::published("living", 3), Object::left("left"));
    let rows = floe(["names", "--format", "json"]).json();
    let owner_of = |rows: &serde_json::Value, object: &Object| {
        let mut rows = rows.as_array().unwrap().iter();
        let row = rows.find(|row| row["name"] == *object.name)?;
        assert_eq!(
            (&row["cache"], &row["generation"]),
            (&"recipes".into(), &1.into())
        );
        Some(row["owner"].as_str().unwrap().to_owned())
    };
    assert_eq!(owner_of(&rows, &living).as_deref(), Some("runs"));
    assert_eq!(owner_of(&rows, &left).as_deref(), Some("gone"));

    let swept = floe(["names", "--sweep", "--format", "json"]).json();
    assert_eq!(owner_of(&swept, &left).as_deref(), Some("gone"));
    assert!(owner_of(&swept, &living).is_none());
    assert!(living.path().exists() && !left.path().exists());
    let text = floe(["names"]).good();
    assert!(
        text.contains(&living.name) && !text.contains(&left.name),
        "{text}"
    );
    floe(["verify", &living.target()]).good();
}
