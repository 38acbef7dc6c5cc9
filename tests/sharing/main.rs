//! Proof that reading writes nothing.

fn main() {}
