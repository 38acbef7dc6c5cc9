//! Self-describing values: what is frozen is read back, once in a region, in equal bytes.

mod reading;
