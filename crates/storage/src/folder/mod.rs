//! A folder as a store.

mod durable_files;

pub(super) use durable_files::{FileSource, FileWriter, Folder};
