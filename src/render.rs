//! `cloakroom render`: runs the picture engine on local files, without a server, queue or store.
//!
//! It shows how a picture looks in each size and format, or why it is rejected. External benchmarks read the output of
//! `--json`. The command prints one line per file. The lines have the order of the files, not the order in which the
//! files are done.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, ensure};
use bytesize::ByteSize;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use picture::{
    CancelFlag, Limits, OutputFormat, OutputSpec, Probe, Rejection, RenderBuffers, RenderPlan, RenderedPicture, Shape,
    probe,
};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// Render local pictures as a worker would, to try sizes or to see why a picture is rejected.
#[derive(clap::Args)]
pub(crate) struct RenderArgs {
    /// The files to render.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Longest sides in pixels, or `full` for the picture's own size.
    #[arg(long, value_delimiter = ',', default_value = "512,256,128,64", value_name = "N,…", value_parser = parse_size)]
    sizes: Vec<OutputSize>,
    /// The output format.
    #[arg(long, value_enum, default_value = "auto")]
    format: Encoding,
    /// How a picture fills its sizes.
    #[arg(long, value_enum, default_value = "inside")]
    fit: Fit,
    /// Write the results into this folder, as NAME-WIDTHxHEIGHT.EXTENSION.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Render each picture this many times and report the fastest run, for measurements.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// The number of pictures to render at the same time; 0 for one on each processor.
    #[arg(long, default_value_t = 0, value_name = "N")]
    threads: usize,
    /// Print one JSON object per file, each on its own line.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Encoding {
    /// JPEG stays JPEG, opaque WebP and BMP become JPEG, everything else PNG.
    Auto,
    /// JPEG of quality 80 with 4:2:0 subsampling; transparent pixels become white.
    Jpeg,
    /// PNG, with the fast compressor.
    Png,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fit {
    /// Exactly N × N, from the centre square; scaled up if the picture is smaller.
    Square,
    /// The whole picture, within N × N; never scaled up.
    Inside,
}

#[derive(Clone, Copy)]
enum OutputSize {
    Side(u32),
    Full,
}

/// The buffers that a thread keeps between files.
#[derive(Default)]
struct RenderContext {
    buffers: RenderBuffers,
    bytes: Vec<u8>,
}

/// The report on one file.
struct FileReport {
    text: String,
    rejected: bool,
}

/// The result for one file.
type RenderResult = Result<(Probe, RenderedPicture), Rejection>;

fn parse_size(text: &str) -> Result<OutputSize, String> {
    match text.trim() {
        "full" => Ok(OutputSize::Full),
        text => match text.parse() {
            Ok(side @ 1..=16_384) => Ok(OutputSize::Side(side)),
            _ => Err("a size is `full` or a number of pixels from 1 to 16384".into()),
        },
    }
}

impl RenderArgs {
    /// Renders every file, within the limits that the settings give a worker.
    ///
    /// # Errors
    ///
    /// If a file cannot be read or a result cannot be written; at the end, if a picture was rejected.
    pub(crate) fn run(self, limits: &Limits) -> anyhow::Result<()> {
        if let Some(folder) = &self.out {
            fs::create_dir_all(folder).with_context(|| format!("the folder {} cannot be created", folder.display()))?;
        }
        let plan = self.plan();
        let threads = match self.threads {
            0 => thread::available_parallelism().map_or(1, usize::from),
            threads => threads,
        };
        let (report_sender, reports) = channel();
        let next_file = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..threads.min(self.files.len()) {
                let report_sender = report_sender.clone();
                scope.spawn(|| {
                    let report_sender = report_sender;
                    let mut context = RenderContext::default();
                    loop {
                        let i = next_file.fetch_add(1, Ordering::Relaxed);
                        let Some(path) = self.files.get(i) else { return };
                        // The receiver is gone after an error, such as a file that could not be read.
                        if report_sender.send((i, self.render_file(&mut context, path, &plan, limits))).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(report_sender);
            self.print_reports(reports)
        })
    }

    /// Prints the report on each file, in the order of the files.
    fn print_reports(&self, reports: Receiver<(usize, anyhow::Result<FileReport>)>) -> anyhow::Result<()> {
        let progress = self.progress();
        let (mut finished, mut next, mut rejected) = (BTreeMap::new(), 0, 0);
        for (i, report) in reports {
            progress.inc(1);
            finished.insert(i, report);
            while let Some(report) = finished.remove(&next) {
                let report = report?;
                progress.suspend(|| anstream::println!("{}", report.text));
                rejected += usize::from(report.rejected);
                next += 1;
            }
        }
        progress.finish_and_clear();
        ensure!(rejected == 0, "{rejected} of {} pictures were not rendered", self.files.len());
        Ok(())
    }

    /// Renders one file, as often as requested, and writes the results.
    fn render_file(
        &self,
        context: &mut RenderContext,
        path: &Path,
        plan: &RenderPlan,
        limits: &Limits,
    ) -> anyhow::Result<FileReport> {
        let unreadable = || format!("the file {} cannot be read", path.display());
        context.bytes.clear();
        File::open(path).and_then(|mut file| file.read_to_end(&mut context.bytes)).with_context(unreadable)?;
        let bytes = &context.bytes[..];
        let mut best: Option<Duration> = None;
        let mut result = Err(Rejection::Cancelled);
        for _ in 0..self.repeat {
            let start = thread_cpu_time();
            result = probe(bytes, limits).and_then(|probe| {
                let picture = context.buffers.render(bytes, &probe, plan, limits, &CancelFlag::new())?;
                Ok((probe, picture))
            });
            best = best.into_iter().chain([thread_cpu_time().saturating_sub(start)]).min();
        }
        if let (Some(folder), Ok((_, picture))) = (&self.out, &result) {
            write_outputs(folder, path, picture)?;
        }
        let text = match self.json {
            true => format_json(path, bytes, plan, &result, best).to_string(),
            false => format_text(path, bytes, &result, best),
        };
        Ok(FileReport { text, rejected: result.is_err() })
    }

    fn plan(&self) -> RenderPlan {
        let format = match self.format {
            Encoding::Auto => OutputFormat::Auto,
            Encoding::Jpeg => OutputFormat::Jpeg,
            Encoding::Png => OutputFormat::Png,
        };
        let shape = |size: &OutputSize| match (size, self.fit) {
            (OutputSize::Full, _) => Shape::Full,
            (OutputSize::Side(side), Fit::Square) => Shape::Square(*side),
            (OutputSize::Side(side), Fit::Inside) => Shape::Inside(*side),
        };
        RenderPlan {
            outputs: self.sizes.iter().map(|size| OutputSpec { shape: shape(size), format }).collect(),
            ..RenderPlan::default()
        }
    }

    /// A progress bar for many files, if standard error is a terminal.
    fn progress(&self) -> ProgressBar {
        if self.files.len() < 8 || self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} pictures, {eta} left");
        ProgressBar::new(self.files.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// CPU time of this thread so far. Read from the clock, not from `/proc`, whose figures are as old as the last tick.
fn thread_cpu_time() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// The peak memory of this process in bytes, if the kernel reports it.
fn peak_memory() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn milliseconds(duration: Option<Duration>) -> Option<f64> {
    duration.map(|duration| (duration.as_secs_f64() * 1e5).round() / 100.0)
}

fn format_text(path: &Path, bytes: &[u8], result: &RenderResult, duration: Option<Duration>) -> String {
    let name = path.display();
    match result {
        Ok((_, picture)) => {
            let variants: Vec<String> = picture
                .variants
                .iter()
                .map(|v| {
                    format!("{}×{} {DIM}{}{DIM:#}", v.width, v.height, ByteSize(v.bytes.len() as u64).display().si())
                })
                .collect();
            let duration = milliseconds(duration).map(|ms| format!("  {DIM}{ms:.1} ms{DIM:#}")).unwrap_or_default();
            format!(
                "{GOOD}rendered{GOOD:#}  {name}  {} {}×{} {DIM}{}{DIM:#}  →  {}{duration}",
                picture.media.name(),
                picture.width,
                picture.height,
                ByteSize(bytes.len() as u64).display().si(),
                variants.join("  ")
            )
        }
        Err(rejection) => format!("{BAD}rejected{BAD:#}  {name}  {rejection} {DIM}({}){DIM:#}", rejection.code()),
    }
}

fn format_json(
    path: &Path,
    bytes: &[u8],
    plan: &RenderPlan,
    result: &RenderResult,
    duration: Option<Duration>,
) -> Value {
    let (file, cpu_ms) = (path.display().to_string(), milliseconds(duration));
    match result {
        Ok((probe, picture)) => json!({
            "file": file,
            "result": "rendered",
            "type": picture.media.mime(),
            "width": picture.width,
            "height": picture.height,
            "bytes": bytes.len(),
            "memory": probe.memory_estimate(plan),
            "peak_memory": peak_memory(),
            "cpu_ms": cpu_ms,
            "variants": picture.variants.iter().map(|variant| json!({
                "type": variant.media.mime(),
                "width": variant.width,
                "height": variant.height,
                "bytes": variant.bytes.len(),
            })).collect::<Vec<_>>(),
        }),
        Err(rejection) => json!({
            "file": file,
            "result": "rejected",
            "code": rejection.code(),
            "message": rejection.to_string(),
            "bytes": bytes.len(),
            "cpu_ms": cpu_ms,
        }),
    }
}

fn write_outputs(folder: &Path, path: &Path, picture: &RenderedPicture) -> anyhow::Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    for variant in &picture.variants {
        let file = format!("{name}-{}x{}.{}", variant.width, variant.height, variant.media.extension());
        let file = folder.join(file);
        fs::write(&file, &variant.bytes).with_context(|| format!("the file {} cannot be written", file.display()))?;
    }
    Ok(())
}
