//! The settings of the program: the defaults of each crate, overridden by a file, overridden by the environment.
//!
//! - `sections` is every setting, checked.
//! - `known_keys` is what the defaults name; `overrides` is what the file and the environment set.
//! - `load` puts them together and reports every problem at once; `problem` is one of them.

mod known_keys;
mod load;
mod overrides;
mod problem;
mod sections;

pub(crate) use self::sections::{Settings, defaults};
