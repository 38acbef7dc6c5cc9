//! Sources on file systems whose stamps do not follow their content.

use std::cell::RefCell;
use std::fs::{self, File, Permissions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use floe::store::{BuildResult, Outcome};
use floe::{Clock, Inputs, Moment, Policy, Store, prefork};
use nix::libc;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, unshare};

/// A store that is asked an hour later, so that whatever was read has settled.
fn later() -> Store {
    Store::new().with_clock(Clock::manual(Moment::now() + Duration::from_secs(3600)))
}

/// Whether a change of what a closure reads is seen, and no change where there is none.
fn sees(
    policy: Policy,
    read: impl Fn(&mut Inputs) -> BuildResult<String> + Send + Sync + 'static,
    change: impl FnOnce(),
) -> Vec<Outcome> {
    let store = later();
    let cache = store.cache("read", policy, read).unwrap();
    let refresh = || store.refresh().unwrap().caches.remove(0).outcome;
    let mut outcomes = vec![refresh(), refresh()];
    let before = cache.get().unwrap();
    change();
    outcomes.push(refresh());
    if outcomes[2] == Outcome::Published {
        assert_ne!(*before, *cache.get().unwrap());
    }
    outcomes.push(refresh());
    outcomes
}

const SEEN: [Outcome; 4] = [
    Outcome::Published,
    Outcome::Fresh,
    Outcome::Published,
    Outcome::Fresh,
];

type Read = Box<dyn Fn(&mut Inputs) -> BuildResult<String> + Send + Sync>;

fn read(path: impl Into<PathBuf>) -> Read {
    let path = path.into();
    Box::new(move |inputs| Ok(inputs.read_to_string(&path)?.unwrap_or_default()))
}

fn list(path: impl Into<PathBuf>) -> Read {
    let path = path.into();
    Box::new(move |inputs| Ok(format!("{:?}", inputs.read_dir(&path)?)))
}

pub fn what_the_kernel_makes_up_is_compared_by_content() {
    let inputs = Policy::new().revalidate_inputs();
    let name = |name: &'static str| move || fs::write("/proc/self/comm", name).unwrap();
    name("before")();
    assert_eq!(
        sees(inputs.clone(), read("/proc/self/comm"), name("after!")),
        SEEN
    );
    // A thread appears, and goes.
    let thread = RefCell::new(None);
    let begin = || {
        let (end, ends) = mpsc::channel::<()>();
        let waiting = thread::spawn(move || ends.recv().is_err());
        *thread.borrow_mut() = Some((end, waiting));
    };
    assert_eq!(sees(inputs.clone(), list("/proc/self/task"), begin), SEEN);
    let end = || {
        let (end, waiting) = thread.take().unwrap();
        drop(end);
        waiting.join().unwrap();
        // Joined, a thread may still be about to go.
        while fs::read_dir("/proc/self/task").unwrap().count() > 1 {
            thread::yield_now();
        }
    };
    let glob: Read = Box::new(|inputs| Ok(format!("{:?}", inputs.glob("/proc/self/task/[0-9]*")?)));
    assert_eq!(sees(inputs, glob, end), SEEN);
}

pub fn stores_through_a_shared_map_are_seen_where_that_is_demanded() {
    // SAFETY: the name ends with a zero byte, and the descriptor is ours alone.
    let file = unsafe {
        let memory = libc::memfd_create(c"source".as_ptr(), libc::MFD_CLOEXEC);
        assert!(memory >= 0);
        File::from_raw_fd(memory)
    };
    file.set_len(3).unwrap();
    // SAFETY: this process alone has the file, and keeps its length.
    let mut map = unsafe { memmap2::MmapMut::map_mut(&file) }.unwrap();
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let mut store = |text: &[u8]| map.copy_from_slice(text);
    store(b"one");
    let inputs = Policy::new().revalidate_inputs();
    // Such a store leaves no trace in the times of the file.
    let outcomes = sees(inputs.clone(), read(&path), || store(b"two"));
    assert_eq!(outcomes[1..], [Outcome::Fresh; 3]);
    let demanded = inputs.compare_content();
    assert_eq!(sees(demanded, read(&path), || store(b"six")), SEEN);
}

/// Runs a closure in a process of its own with mounts, names and network of its own, and a folder
/// there that is gone with it.
fn apart(run: impl FnOnce(&Path)) {
    let folder = tempfile::tempdir().unwrap();
    let run = RefCell::new(Some(run));
    let pool = prefork::spawn(1, |_| {
        let spaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWNET;
        unshare(spaces).unwrap();
        let flags = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
        mount(None::<&str>, "/", None::<&str>, flags, None::<&str>).unwrap();
        mount_new("tmpfs", folder.path());
        (run.take().unwrap())(folder.path());
    });
    pool.unwrap().join().unwrap();
}

/// Does something as a user who is not root.
fn as_nobody<R>(run: impl FnOnce() -> R) -> R {
    nix::unistd::seteuid(65_534.into()).unwrap();
    let result = run();
    nix::unistd::seteuid(0.into()).unwrap();
    result
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub fn what_a_user_may_not_read_hides_nothing_else_and_is_an_input() {
    apart(|folder| {
        set_mode(folder, 0o755);
        let secret = folder.join("lost+found");
        fs::create_dir(&secret).unwrap();
        for path in [folder.join("a.conf"), secret.join("b.conf")] {
            fs::write(path, "").unwrap();
        }
        let odd = secret.join("[x]");
        fs::create_dir(&odd).unwrap();
        let odd = Path::new(&Inputs::escape_pattern(odd)).join("*");
        let patterns = ["**/*.conf", "*/*.conf", "*/b.conf", "lost+found/*.conf"];
        let asked = patterns.map(|pattern| folder.join(pattern));
        // Not to be listed, not to be entered, neither.
        for mode in [0o711, 0o744, 0o700] {
            set_mode(&secret, mode);
            let found = as_nobody(|| {
                asked.each_ref().map(|pattern| {
                    let mut inputs = Inputs::new();
                    (inputs.glob(pattern).ok().map(|it| it.len()), inputs)
                })
            });
            let counts = found.each_ref().map(|(count, _)| *count);
            let (expected, passed_over) = match mode {
                0o711 => ([Some(1), Some(0), Some(1), None], [1, 1, 0, 1]),
                0o744 => ([Some(2), Some(1), Some(0), Some(1)], [1, 0, 1, 0]),
                _ => ([Some(1), Some(0), Some(0), None], [1; 4]),
            };
            assert_eq!(counts, expected, "{mode:o}");
            // What is escaped is a name, for which nobody looks into the folder that it is in.
            let odd = as_nobody(|| Inputs::new().glob(&odd).is_ok());
            assert_eq!(odd, mode == 0o711);
            let changes = |found: &[(Option<usize>, Inputs)]| {
                let changes = found.iter().map(|(_, inputs)| inputs.changed().len());
                as_nobody(|| changes.collect::<Vec<_>>())
            };
            assert_eq!(changes(&found), [0; 4], "{mode:o}");
            set_mode(&secret, 0o755);
            let hidden = found
                .each_ref()
                .map(|(_, inputs)| inputs.unreadable().count());
            assert_eq!(hidden, passed_over, "{mode:o}");
            assert_eq!(changes(&found), passed_over, "{mode:o}");
        }
    });
}

pub fn what_may_be_read_again_is_built_without_waiting() {
    apart(|folder| {
        set_mode(folder, 0o755);
        let path = folder.join("secret");
        fs::write(&path, "text").unwrap();
        set_mode(&path, 0o600);
        let store = later();
        let cache = store
            .cache("read", Policy::new().revalidate_inputs(), read(&path))
            .unwrap();
        // The clock stands still: whatever waits waits for ever.
        let refresh = || as_nobody(|| store.refresh().unwrap().caches.remove(0).outcome);
        assert_eq!([refresh(), refresh()], [Outcome::Failed, Outcome::Waiting]);
        set_mode(&path, 0o644);
        assert_eq!([refresh(), refresh()], [Outcome::Published, Outcome::Fresh]);
        assert_eq!(cache.get().unwrap().as_str(), "text");
        // The folder that it is in.
        set_mode(folder, 0o700);
        assert_eq!([refresh(), refresh()], [Outcome::Failed, Outcome::Waiting]);
        set_mode(folder, 0o755);
        assert_eq!(refresh(), Outcome::Fresh);
    });
}

fn mount_new(kind: &str, at: &Path) {
    mount(Some(kind), at, Some(kind), MsFlags::empty(), None::<&str>).unwrap();
}

pub fn names_mounts_and_groups_of_the_machine_are_inputs() {
    apart(|folder| {
        let inputs = Policy::new().revalidate_inputs();
        let name = |name: &'static str| move || nix::unistd::sethostname(name).unwrap();
        name("before")();
        let hostname = "/proc/sys/kernel/hostname";
        assert_eq!(sees(inputs.clone(), read(hostname), name("after!")), SEEN);
        let other = folder.join("other");
        fs::create_dir(&other).unwrap();
        let mounted = || mount_new("tmpfs", &other);
        assert_eq!(
            sees(inputs.clone(), read("/proc/self/mounts"), mounted),
            SEEN
        );
        mount_new("cgroup2", &other);
        let group = other.join(format!("floe-test-{}", std::process::id()));
        let outcomes = sees(inputs, list(&other), || fs::create_dir(&group).unwrap());
        fs::remove_dir(&group).unwrap();
        assert_eq!(outcomes, SEEN);
    });
}

pub fn new_network_interfaces_are_seen() {
    apart(|folder| {
        mount_new("sysfs", folder);
        let add = || {
            let made = Command::new("ip")
                .args(["tuntap", "add", "dev", "floe0", "mode", "tun"])
                .status();
            assert!(made.unwrap().success());
        };
        let interfaces = list(folder.join("class/net"));
        assert_eq!(
            sees(Policy::new().revalidate_inputs(), interfaces, add),
            SEEN
        );
    });
}

/// A squashfs image of one file `text` with a time of 2001, made by
/// `mksquashfs FOLDER IMAGE -all-time 1000000000 -mkfs-time 1000000000 -all-root -nopad -noI -noD`.
const IMAGE: &[u8] = include_bytes!("image.squashfs");
const TEXT: &[u8] = b"first\n";

/// The image with another text of the same length.
fn image(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join(format!("{text}.squashfs"));
    let at = IMAGE.windows(TEXT.len()).position(|it| it == TEXT).unwrap();
    let mut image = IMAGE.to_vec();
    image[at..at + text.len()].copy_from_slice(text.as_bytes());
    // Loop devices have whole sectors.
    image.resize(4096, 0);
    fs::write(&path, image).unwrap();
    path
}

/// Mounts an image by a loop device that is free again when it is unmounted.
fn mount_image(image: &Path, at: &Path) {
    let mut command = Command::new("mount");
    let mounted = command
        .args(["-t", "squashfs", "-o", "loop,ro"])
        .arg(image)
        .arg(at);
    assert!(mounted.status().unwrap().success());
}

fn unmount(at: &Path) {
    umount2(at, MntFlags::empty()).unwrap();
}

/// All that a stamp has of a file.
fn stamp(path: &Path) -> [u64; 7] {
    let it = fs::metadata(path).unwrap();
    let times = [it.mtime(), it.mtime_nsec(), it.ctime(), it.ctime_nsec()];
    let [modified, modified_nanos, changed, changed_nanos] = times.map(i64::cast_unsigned);
    [
        it.dev(),
        it.ino(),
        it.size(),
        modified,
        modified_nanos,
        changed,
        changed_nanos,
    ]
}

/// What processes that begin one after the other make of a file `text`: the outcome of their first
/// refresh and of their second, the text, and how often it was built by then.
fn start(caches: &Path, text: &Path, built: &Arc<AtomicU32>) -> (Outcome, Outcome, String, u32) {
    let clock = Clock::manual(Moment::now() + Duration::from_secs(3600));
    let store = Store::open(caches).unwrap().with_clock(clock);
    let (count, read) = (Arc::clone(built), read(text));
    let cache = store.cache("text", Policy::new().revalidate_inputs(), move |inputs| {
        count.fetch_add(1, Ordering::Relaxed);
        read(inputs)
    });
    let cache = cache.unwrap();
    let refresh = || store.refresh().unwrap().caches.remove(0).outcome;
    let outcomes = (refresh(), refresh());
    let text = cache.get().unwrap().as_str().to_owned();
    (outcomes.0, outcomes.1, text, built.load(Ordering::Relaxed))
}

/// Images with the same stamps, mounted by `show` and `hide`, are told apart, also by a process
/// that begins later; and one that is mounted again is not built again.
fn tells_images_apart(folder: &Path, text: &Path, show: impl Fn(&Path), hide: impl Fn()) {
    let images = ["first", "other"].map(|text| image(folder, text));
    let swap = |image: &Path| {
        let before = stamp(text);
        hide();
        show(image);
        assert_eq!(
            stamp(text),
            before,
            "the images differ in more than content"
        );
    };
    show(&images[0]);
    assert_eq!(
        sees(Policy::new().revalidate_inputs(), read(text), || swap(
            &images[1]
        )),
        SEEN
    );
    let (caches, built) = (folder.join("caches"), Arc::default());
    let start = || start(&caches, text, &built);
    let found = |outcome, text: &str, built| (outcome, Outcome::Fresh, format!("{text}\n"), built);
    assert_eq!(start(), found(Outcome::Published, "other", 1));
    swap(&images[1]);
    assert_eq!(start(), found(Outcome::Loaded, "other", 1));
    swap(&images[0]);
    assert_eq!(start(), found(Outcome::Published, "first", 2));
    hide();
}

pub fn images_with_the_same_stamps_are_told_apart() {
    apart(|folder| {
        let at = folder.join("image");
        fs::create_dir(&at).unwrap();
        let show = |image: &Path| mount_image(image, &at);
        tells_images_apart(folder, &at.join("text"), show, || unmount(&at));
    });
}

pub fn layers_over_images_with_the_same_stamps_are_told_apart() {
    apart(|folder| {
        let [image, upper, work, at] = ["image", "upper", "work", "at"].map(|it| folder.join(it));
        for folder in [&image, &upper, &work, &at] {
            fs::create_dir(folder).unwrap();
        }
        let show = |file: &Path| {
            mount_image(file, &image);
            let layers = format!(
                "lowerdir={},upperdir={},workdir={}",
                image.display(),
                upper.display(),
                work.display()
            );
            let kind = Some("overlay");
            mount(kind, &at, kind, MsFlags::empty(), Some(layers.as_str())).unwrap();
        };
        let hide = || [&at, &image].into_iter().for_each(|it| unmount(it));
        tells_images_apart(folder, &at.join("text"), show, hide);
    });
}
