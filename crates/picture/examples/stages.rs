//! Measures the stages of JPEG rendering: decoding alone at each scale, and everything. Prints CPU milliseconds, the
//! fastest of ten runs.
//!
//! ```text
//! cargo run --release -p picture --example stages -- photo.jpg …     a table
//! cargo run --release -p picture --example stages -- 2 photo.jpg     one number: decoding alone at 2/8
//! ```

use std::time::Duration;

use picture::{CancelFlag, Limits, OutputFormat, OutputSpec, Rejection, RenderBuffers, RenderPlan, Shape, probe};
use rustix::time::{ClockId, clock_gettime};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut bench = RenderBuffers::default();
    if let [scale, path] = &arguments[..]
        && let Ok(n) = scale.parse()
    {
        let bytes = std::fs::read(path)?;
        println!(
            "{:.3}",
            fastest_of_ten(|| bench.decode_jpeg_planes(&bytes, n, &Limits::default(), &CancelFlag::new()))?
        );
        return Ok(());
    }
    println!("{:>8} {:>8} {:>8} {:>8} {:>8} {:>8}", "1/8", "2/8", "3/8", "4/8", "8/8", "render");
    for path in &arguments {
        let bytes = std::fs::read(path)?;
        for n in [1, 2, 3, 4, 8] {
            print!(
                "{:8.2} ",
                fastest_of_ten(|| bench.decode_jpeg_planes(&bytes, n, &Limits::default(), &CancelFlag::new()))?
            );
        }
        let outputs = [512, 256, 128, 64].map(|n| OutputSpec { shape: Shape::Inside(n), format: OutputFormat::Auto });
        let plan = RenderPlan { outputs: outputs.to_vec(), ..RenderPlan::default() };
        let limits = Limits::default();
        println!(
            "{:8.2} {path}",
            fastest_of_ten(|| bench.render(&bytes, &probe(&bytes, &limits)?, &plan, &limits, &CancelFlag::new()))?
        );
    }
    Ok(())
}

fn fastest_of_ten<T>(mut work: impl FnMut() -> Result<T, Rejection>) -> Result<f64, Box<dyn std::error::Error>> {
    let mut best = Duration::MAX;
    for _ in 0..10 {
        let start = thread_cpu_time();
        work()?;
        best = best.min(thread_cpu_time().saturating_sub(start));
    }
    Ok(best.as_secs_f64() * 1000.0)
}

/// Returns the CPU time of this thread so far. It comes from the clock, because the figures in
/// `/proc` are as old as the last tick.
fn thread_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}
