//! worker

pub mod picture;
pub mod pool;
