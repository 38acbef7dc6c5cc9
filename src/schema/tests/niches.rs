//! Options without a tag.

use std::num::NonZeroU32;

use rkyv::niche::niching::{Bool, DefaultNiche, NaN, Null, Zero};
use rkyv::with::{AsBox, NicheInto};
use rkyv::{Archive, Serialize};
use serde_json::json;

use super::walked;
use crate::Schema;

#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
struct Niched {
    #[rkyv(with = NicheInto<Bool>)]
    flag: Option<bool>,
    #[rkyv(with = DefaultNiche)]
    other: Option<bool>,
    #[rkyv(with = NicheInto<NaN>)]
    single: Option<f32>,
    #[rkyv(with = NicheInto<NaN>)]
    double: Option<f64>,
    #[rkyv(with = NicheInto<Zero>)]
    number: Option<NonZeroU32>,
    #[rkyv(with = NicheInto<Null>)]
    text: Option<Box<str>>,
    #[rkyv(with = DefaultNiche)]
    boxed: Option<Box<u64>>,
}

#[test]
fn options_with_a_niche_are_read_by_their_shape() {
    let some = Niched {
        flag: Some(true),
        other: Some(false),
        single: Some(-1.5),
        double: Some(f64::INFINITY),
        number: NonZeroU32::new(7),
        text: Some("seven".into()),
        boxed: Some(Box::new(7)),
    };
    let read = walked(&some);
    assert_eq!(read["flag"], json!(true));
    assert_eq!(read["other"], json!(false));
    assert_eq!(read["single"], json!(-1.5));
    assert_eq!(read["number"], json!(7));
    assert_eq!(read["text"], json!("seven"));
    assert_eq!(read["boxed"], json!(7));

    let none = Niched {
        flag: None,
        other: None,
        single: None,
        double: None,
        number: None,
        text: None,
        boxed: None,
    };
    let read = walked(&none);
    assert!(
        read.as_object()
            .unwrap()
            .values()
            .all(|value| value.is_null())
    );
    let frozen = crate::Frozen::freeze("niched", &vec![none, some]).unwrap();
    assert!(frozen[0].flag.is_none() && frozen[1].flag.as_ref() == Some(&true));
    assert!(frozen[0].double.is_none() && frozen[1].double.is_some());
}

#[derive(Archive, Serialize)]
#[rkyv(derive(Schema))]
struct Boxed(#[rkyv(with = AsBox)] u32);

#[test]
fn a_box_of_a_wrapper_is_a_box() {
    assert_eq!(walked(&Boxed(7)), json!(7));
}
