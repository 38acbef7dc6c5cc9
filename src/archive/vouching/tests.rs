//! What a page vouches for, and what it does not.

use super::*;
use crate::frozen::Frozen;

fn files<T: Content>(frozen: &Frozen<T>) -> Vec<OwnedFd> {
    frozen.region().try_clone_fds().unwrap()
}

#[test]
fn only_the_announced_file_is_vouched_for_and_only_as_its_type() {
    let [one, other] = [1_u32, 2].map(|it| Frozen::freeze("number", &it).unwrap());
    let (voucher, page) = Voucher::create::<u32>("voucher").unwrap();
    assert!(page.vouch::<u32>(files(&one)).is_err());
    let prepared = voucher.prepare(one.as_checked()).unwrap();
    assert!(page.vouch::<u32>(files(&one)).is_err());
    prepared.announce();
    let vouched = page.vouch::<u32>(files(&one)).ok().unwrap();
    assert_eq!(*Frozen::from_vouched(vouched).unwrap(), 1);
    assert!(page.try_clone().unwrap().vouch::<u32>(files(&one)).is_ok());
    assert!(page.vouch::<u32>(files(&other)).is_err());
    assert!(page.vouch::<i32>(files(&one)).is_err());
    let own = FixedFile::open(page.as_fd().try_clone_to_owned().unwrap()).unwrap();
    let foreign = VoucherPage::foreign(own).unwrap();
    assert_eq!(foreign.identity(), page.identity());
    assert!(foreign.vouch::<u32>(files(&one)).is_err());
}

#[test]
fn values_of_other_types_and_on_the_heap_cannot_be_announced() {
    let (voucher, _page) = Voucher::create::<u32>("voucher").unwrap();
    let refused = |frozen: io::Result<Prepared<'_>>| frozen.err().map(|error| error.kind());
    let other = Frozen::freeze("number", &1_i32).unwrap();
    let heap = Frozen::freeze_on_heap("number", &1_u32).unwrap();
    for (prepared, kind) in [
        (
            voucher.prepare(other.as_checked()),
            io::ErrorKind::InvalidInput,
        ),
        (
            voucher.prepare(heap.as_checked()),
            io::ErrorKind::Unsupported,
        ),
    ] {
        assert_eq!(refused(prepared), Some(kind));
    }
}

/// A page file beside the first that is another one, however long and whatever its header says, is
/// vouched for by nobody.
#[test]
fn other_page_files_are_checked() {
    let numbers: Vec<u64> = (0..200_000).collect();
    let first = Frozen::freeze("pages", &numbers).unwrap();
    let mut changed = numbers;
    changed[777] = 7;
    let second = Frozen::freeze("pages", &changed).unwrap();
    let second = second.sharing(first.region()).unwrap();
    let (voucher, page) = Voucher::create::<Vec<u64>>("floe-control:pages").unwrap();
    voucher.prepare(second.as_checked()).unwrap().announce();
    let open = |files| {
        let vouched = page.vouch::<Vec<u64>>(files).ok().unwrap();
        Frozen::from_vouched(vouched)
    };
    let honest = files(&second);
    assert_eq!(honest.len(), 2);
    assert_eq!(open(honest).unwrap()[777], 7);

    // Its bytes are right, but it is a copy.
    let copy = |edit: fn(&mut [u8])| {
        let mut bytes = first.region().bytes().to_vec();
        edit(&mut bytes);
        let mut file = crate::sys::memfd::UnsealedFile::create("copy").unwrap();
        file.write_all_at(&bytes, 0).unwrap();
        std::fs::File::from(file.seal().unwrap()).into()
    };
    let with = |other: OwnedFd| vec![files(&second).remove(0), other];
    assert_eq!(open(with(copy(|_| ()))).unwrap()[777], 7);
    let forged = open(with(copy(|bytes| bytes[100_000] ^= 1)))
        .unwrap_err()
        .to_string();
    assert!(forged.contains("page file 1"), "{forged}");
}
