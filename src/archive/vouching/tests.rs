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
