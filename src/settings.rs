//! The settings of the program. A settings file overrides the defaults of the crates, and the environment overrides
//! both.
//!
//! - `sections` has every setting, and checks the values.
//! - `known_keys` has the keys that the defaults name.
//! - `overrides` has the values that the file and the environment set.
//! - `load` puts these together and reports every problem at once.
//! - `problem` has the type of one such problem.

mod known_keys;
mod load;
mod overrides;
mod problem;
mod sections;

pub(crate) use self::sections::{Settings, defaults};
