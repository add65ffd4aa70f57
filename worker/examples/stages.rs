//! Where the time of a JPEG goes: decoding alone at each scale, and all of it. In CPU milliseconds, the quickest of ten.
//!
//! ```text
//! cargo run --release -p worker --example stages -- photo.jpg …     a table
//! cargo run --release -p worker --example stages -- 2 photo.jpg     one number: decoding alone at 2/8
//! ```

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use worker::picture::{Format, Limits, Output, Plan, Rejection, Shape, Stop, Workbench, probe};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut bench = Workbench::default();
    if let [scale, path] = &arguments[..]
        && let Ok(n) = scale.parse()
    {
        let bytes = std::fs::read(path)?;
        println!("{:.3}", quickest(|| bench.planes(&bytes, n, &Limits::default(), &Stop::new()))?);
        return Ok(());
    }
    println!("{:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "1/8", "2/8", "3/8", "4/8", "8/8", "render");
    for path in &arguments {
        let bytes = std::fs::read(path)?;
        for n in [1, 2, 3, 4, 8] {
            print!("{:8.2} ", quickest(|| bench.planes(&bytes, n, &Limits::default(), &Stop::new()))?);
        }
        let outputs = [512, 256, 128, 64].map(|n| Output { shape: Shape::Inside(n), format: Format::Auto });
        let plan = Plan { crop: None, outputs: outputs.to_vec() };
        let limits = Limits::default();
        println!(
            "{:8.2} {path}",
            quickest(|| bench.render(&bytes, &probe(&bytes, &limits)?, &plan, &limits, &Stop::new()))?
        );
    }
    Ok(())
}

fn quickest<T>(mut work: impl FnMut() -> Result<T, Rejection>) -> Result<f64, Box<dyn std::error::Error>> {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = cpu();
        work()?;
        best = best.min(cpu().saturating_sub(start));
    }
    Ok(best.as_secs_f64() * 1000.0)
}

/// CPU time of this thread so far. Asked of the clock, not of `/proc`, whose figures are as old as the last tick.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
