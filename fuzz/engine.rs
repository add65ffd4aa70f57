//! The picture engine by itself: the very files of `worker/src/picture`, so that a fuzzer need not build the rest.

#![forbid(unsafe_code)]

#[path = "../worker/src/picture/mod.rs"]
pub mod picture;
