//! What workers hand back, and to whom.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::FileExt;
use std::{process, thread};

use floe::Error;
use floe::prefork::{self, Pool, Worker, WorkerError};
use floe::usage::Usage;
use floe_testkit::forking::Resource;
use floe_testkit::text;
use nix::sys::signal::kill;
use nix::unistd::{ForkResult, Pid, dup2_stdout, fork};

use crate::forking::{Gate, set_limit};
use crate::{alone, assert_no_children, sigterm_is_in};

pub(crate) fn results_are_typed_and_in_order() {
    let pool = prefork::spawn(3, |worker: Worker| {
        (
            worker.index(),
            format!("{} of {}", worker.index(), worker.count()),
            vec![1.5_f64; 2],
        )
    });
    let results = pool.unwrap().join().unwrap();
    let expected = [0, 1, 2].map(|n| (n, format!("{n} of 3"), vec![1.5; 2]));
    assert_eq!(results, expected);
    assert_eq!(prefork::spawn(2, |_| ()).unwrap().join().unwrap(), [(), ()]);
    assert_eq!(
        prefork::spawn(1, |_| u64::MAX).unwrap().join().unwrap(),
        [u64::MAX]
    );
    let refused: Result<u8, String> = Err("no".to_owned());
    let answers = prefork::spawn(1, |_| refused.clone())
        .unwrap()
        .join()
        .unwrap();
    assert_eq!(answers, [refused]);
    assert_no_children();
}

pub(crate) fn results_are_in_order_whoever_ends_first() {
    let gate = Gate::new();
    let pool = prefork::spawn(2, |worker| {
        if worker.index() == 1 {
            (&gate.writer)
                .write_all(&process::id().to_ne_bytes())
                .unwrap();
            return 1_u8;
        }
        let mut sibling = [0; 4];
        (&gate.reader).read_exact(&mut sibling).unwrap();
        // A process that has ended can be signalled until its owner has waited for it.
        let sibling = Pid::from_raw(i32::from_ne_bytes(sibling));
        while kill(sibling, None).is_ok() {
            thread::yield_now();
        }
        0
    });
    assert_eq!(pool.unwrap().join().unwrap(), [0, 1]);
}

pub(crate) fn no_workers_is_an_empty_result() {
    let mut pool = prefork::spawn(0, |_| 1_u8).unwrap();
    assert!(pool.pids().is_empty());
    assert!(pool.wait_one().unwrap().is_none());
    assert!(pool.join().unwrap().is_empty());
    assert!(!sigterm_is_in("SigCgt"));
}

pub(crate) fn a_large_result_arrives() {
    let work = |worker: Worker| text::long(worker.index(), 64 << 20);
    let results = prefork::spawn(2, work).unwrap().join().unwrap();
    for (index, result) in results.iter().enumerate() {
        assert!(*result == text::long(index, 64 << 20));
    }
}

#[derive(rkyv::Archive, rkyv::Serialize, rkyv::Deserialize)]
#[rkyv(serialize_bounds(__S: rkyv::ser::Writer, __S::Error: rkyv::rancor::Source))]
#[rkyv(deserialize_bounds(__D::Error: rkyv::rancor::Source))]
#[rkyv(bytecheck(bounds(__C: rkyv::validation::ArchiveContext, __C::Error: rkyv::rancor::Source)))]
struct Chain(#[rkyv(omit_bounds)] Option<Box<Chain>>);

pub(crate) fn a_deeply_nested_result_is_refused() {
    let chain = |length| (0..length).fold(Chain(None), |chain, _| Chain(Some(Box::new(chain))));
    let short = prefork::spawn(1, |_| chain(100)).unwrap().join();
    assert!(short.is_ok());
    let long = prefork::spawn(1, |_| chain(1000))
        .unwrap()
        .wait()
        .unwrap()
        .remove(0);
    assert!(matches!(long.result, Err(WorkerError::Unreadable { .. })));
}

/// The descriptor of this worker's own answer.
fn answer() -> File {
    let own = fs::read_dir("/proc/self/fd")
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let answers: Vec<_> = own
        .filter(|path| {
            fs::read_link(path).is_ok_and(|link| link.starts_with("/memfd:floe-answer (deleted)"))
        })
        .collect();
    assert_eq!(answers.len(), 1, "a worker holds its siblings' answers");
    File::options()
        .read(true)
        .write(true)
        .open(&answers[0])
        .unwrap()
}

pub(crate) fn a_forged_answer_is_refused() {
    let forged: [(u64, u64, &[u8]); 7] = [
        (1, 8, &[0xc3, 0x28, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        (1, 8, &[0x90, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]),
        (1, 0, &[]),
        (1, u64::MAX, &[0; 8]),
        (1, 1 << 40, &[0; 8]),
        (2, 9, &[0xff; 8]),
        (77, 8, &[0; 8]),
    ];
    let pool: Pool<String> = prefork::spawn(forged.len(), |worker| {
        let (tag, length, payload) = forged[worker.index()];
        let header = [tag.to_ne_bytes(), length.to_ne_bytes()].concat();
        answer()
            .write_all_at(&[&header, payload].concat(), 0)
            .unwrap();
        process::exit(0)
    })
    .unwrap();
    for exit in pool.wait().unwrap() {
        let refused = matches!(exit.result, Err(WorkerError::Unreadable { .. }));
        assert!(refused, "{}: {:?}", exit.worker, exit.result);
    }
    let garbled = prefork::spawn(1, |_| -> () {
        answer().write_all_at(&[0; 15], 0).unwrap();
        process::exit(5)
    });
    let exit = garbled.unwrap().wait().unwrap().remove(0);
    assert_eq!(exit.result, Err(WorkerError::Exited { code: 5 }));
}

/// A worker that makes its answer so long, says so, and has written next to nothing of it.
fn liar(file_length: u64, said: u64) -> WorkerError {
    let pool: Pool<Vec<u8>> = prefork::spawn(1, |_| {
        let answer = answer();
        answer.set_len(file_length).unwrap();
        let header = [1_u64.to_ne_bytes(), said.to_ne_bytes()].concat();
        answer.write_all_at(&header, 0).unwrap();
        process::exit(0)
    })
    .unwrap();
    pool.wait().unwrap().remove(0).result.unwrap_err()
}

/// The owner has 1 GiB of addresses more than it uses, so to take the answer at its word would end
/// the process.
pub(crate) fn an_answer_of_holes_costs_its_owner_nothing() {
    const HOLE: u64 = 64 << 30;
    alone(|| {
        let used = Usage::of_self().unwrap().vss;
        set_limit(Resource::RLIMIT_AS, used + (1 << 30));
        for (length, said) in [(HOLE, HOLE - 16), (HOLE, 8), (1 << 20, HOLE)] {
            let failure = liar(length, said).to_string();
            assert!(failure.contains("holes"), "{failure}");
        }
    });
}

pub(crate) fn answers_are_taken_up_to_a_limit() {
    let answers = |most| {
        let pool = prefork::spawn(2, |worker| vec![7_u8; 1 + worker.index() * 1000]).unwrap();
        pool.limit_answers(most).wait().unwrap()
    };
    let whole = answers(1 << 10);
    assert!(whole.iter().all(|exit| exit.result.is_ok()));
    let [small, large] = <[_; 2]>::try_from(answers(1000)).unwrap();
    assert_eq!(small.result, Ok(vec![7]));
    let Err(WorkerError::TooLarge { most: 1000, got }) = large.result else {
        panic!("{:?}", large.result);
    };
    assert!(got > 1000);
}

/// A process that a worker leaves behind may go on to write, but nobody reads what it writes.
pub(crate) fn nobody_writes_to_an_answer_that_is_read() {
    let (sealed, done) = (Gate::new(), Gate::new());
    let mut pool = prefork::spawn(1, |_| {
        let answer = answer();
        // SAFETY: this process has one thread.
        if let ForkResult::Child = unsafe { fork() }.unwrap() {
            sealed.pass();
            let refused = answer.write_all_at(&[0; 64], 0).unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
            done.open();
            process::exit(0);
        }
        "whole".to_owned()
    })
    .unwrap();
    let exit = pool.wait_one().unwrap().unwrap();
    assert_eq!(exit.result, Ok("whole".to_owned()));
    sealed.open();
    done.pass();
}

pub(crate) fn text_in_the_buffer_is_printed_once() {
    let printed = prefork::spawn(1, |_| {
        let mut file = tempfile::tempfile().unwrap();
        dup2_stdout(&file).unwrap();
        print!("owner ");
        prefork::spawn(3, |_| print!("worker "))
            .unwrap()
            .join()
            .unwrap();
        io::Seek::rewind(&mut file).unwrap();
        io::read_to_string(file).unwrap()
    });
    assert_eq!(
        printed.unwrap().join().unwrap(),
        ["owner worker worker worker "]
    );
}

pub(crate) fn the_owners_copy_is_dropped_once() {
    struct Told<'a>(&'a RefCell<Vec<u32>>);
    impl Drop for Told<'_> {
        fn drop(&mut self) {
            self.0.borrow_mut().push(process::id());
        }
    }
    let drops = RefCell::new(Vec::new());
    let told = Told(&drops);
    let pool = prefork::spawn(2, move |_| {
        let drops = told.0;
        drop(told);
        drops.borrow().clone()
    })
    .unwrap();
    let pids = pool.pids();
    assert_eq!(*drops.borrow(), [process::id()]);
    assert_eq!(pool.join().unwrap(), [vec![pids[0]], vec![pids[1]]]);
    assert_eq!(*drops.borrow(), [process::id()]);
}

pub(crate) fn workers_have_workers() {
    let pool = prefork::spawn(2, |outer| {
        let base = outer.index() as u64 * 10;
        prefork::spawn(3, |inner| base + inner.index() as u64)
            .unwrap()
            .join()
            .unwrap()
    });
    assert_eq!(pool.unwrap().join().unwrap(), [[0, 1, 2], [10, 11, 12]]);
}

pub(crate) fn only_the_owner_uses_a_pool() {
    let gate = Gate::new();
    let pool = prefork::spawn(1, |_| gate.pass()).unwrap();
    let pool = RefCell::new(Some(pool));
    let intruder = prefork::spawn(2, |worker| {
        let mut pool = pool.take().unwrap();
        if worker.index() == 0 {
            drop(pool);
            return String::new();
        }
        let first = pool.wait_one().unwrap_err();
        assert!(matches!(first, Error::NotOwner { .. }));
        pool.wait().unwrap_err().to_string()
    })
    .unwrap();
    let process = intruder.pids()[1];
    let owner = process::id();
    let said = intruder.join().unwrap();
    assert!(said[1].contains(&format!("process {owner}")), "{}", said[1]);
    assert!(
        said[1].contains(&format!("process {process}")),
        "{}",
        said[1]
    );
    gate.open();
    assert_eq!(pool.take().unwrap().join().unwrap(), [()]);
}
