//! `cloakroom render`: the picture engine on files at hand, without a server, queue or store.
//!
//! For people who want to see what their presets make of a picture, or why one is refused; and for benchmarks from
//! outside, which read `--json`. One line per file, in the order given.

use std::fs;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, ensure};
use bytesize::ByteSize;
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use worker::picture::{Format, Limits, Output, Picture, Plan, Rejection, Shape, Stop, Workbench, probe};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();

/// Render pictures as a worker would, without a server: try sizes, see verdicts.
#[derive(clap::Args)]
pub(crate) struct Render {
    /// The pictures.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Longest sides in pixels, or `full` for the picture's own size.
    #[arg(long, value_delimiter = ',', default_value = "512,256,128,64", value_name = "N,…", value_parser = size)]
    sizes: Vec<Size>,
    /// What to encode as.
    #[arg(long, value_enum, default_value = "auto")]
    format: Encoding,
    /// Exactly N × N of the middle, or all of the picture within N × N.
    #[arg(long, value_enum, default_value = "inside")]
    fit: Fit,
    /// Write the results into this folder, as NAME-WIDTHxHEIGHT.EXTENSION.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Render each picture this often, and report the quickest: for measuring.
    #[arg(long, default_value_t = 1, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    repeat: u32,
    /// One JSON object per line and file.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, ValueEnum)]
enum Encoding {
    /// JPEG stays JPEG, opaque WebP and BMP become JPEG, everything else PNG.
    Auto,
    Jpeg,
    Png,
}

#[derive(Clone, Copy, ValueEnum)]
enum Fit {
    Square,
    Inside,
}

#[derive(Clone, Copy)]
enum Size {
    Side(u32),
    Full,
}

fn size(text: &str) -> Result<Size, String> {
    match text.trim() {
        "full" => Ok(Size::Full),
        text => match text.parse() {
            Ok(side @ 1..=16_384) => Ok(Size::Side(side)),
            _ => Err("a size is a number of pixels from 1 to 16384, or `full`".into()),
        },
    }
}

impl Render {
    /// Renders every file.
    ///
    /// # Errors
    ///
    /// When a file cannot be read or a result not written; at the end, when not every picture was taken.
    pub(crate) fn run(self) -> anyhow::Result<()> {
        if let Some(folder) = &self.out {
            fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
        }
        let (plan, limits) = (self.plan(), Limits::default());
        let mut bench = Workbench::default();
        let progress = self.progress();
        let mut refused = 0;
        for path in &self.files {
            let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
            let mut best: Option<Duration> = None;
            let mut result = Err(Rejection::Stopped);
            for _ in 0..self.repeat {
                let start = cpu();
                result = bench.render(&bytes, &plan, &limits, &Stop::new());
                best = best.into_iter().chain([cpu().saturating_sub(start)]).min();
            }
            refused += usize::from(result.is_err());
            let line = match self.json {
                true => json(path, &bytes, &plan, &limits, &result, best).to_string(),
                false => line(path, &bytes, &result, best),
            };
            progress.suspend(|| anstream::println!("{line}"));
            if let (Some(folder), Ok(picture)) = (&self.out, &result) {
                write(folder, path, picture)?;
            }
            progress.inc(1);
        }
        progress.finish_and_clear();
        ensure!(refused == 0, "{refused} of {} pictures were not taken", self.files.len());
        Ok(())
    }

    fn plan(&self) -> Plan {
        let format = match self.format {
            Encoding::Auto => Format::Auto,
            Encoding::Jpeg => Format::Jpeg,
            Encoding::Png => Format::Png,
        };
        let shape = |size: &Size| match (size, self.fit) {
            (Size::Full, _) => Shape::Full,
            (Size::Side(side), Fit::Square) => Shape::Square(*side),
            (Size::Side(side), Fit::Inside) => Shape::Inside(*side),
        };
        Plan { crop: None, outputs: self.sizes.iter().map(|size| Output { shape: shape(size), format }).collect() }
    }

    /// A bar for many files, where somebody is watching.
    fn progress(&self) -> ProgressBar {
        if self.files.len() < 8 || self.json || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:32} {pos}/{len} pictures, {eta} left");
        ProgressBar::new(self.files.len() as u64).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }
}

/// CPU time of this thread so far. Asked of the clock, not of `/proc`, whose figures are as old as the last tick.
fn cpu() -> Duration {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(now.tv_sec.unsigned_abs(), now.tv_nsec.unsigned_abs() as u32)
}

/// The most memory this process has held so far, in bytes, where the kernel tells.
fn peak() -> Option<u64> {
    let text = fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1024)
}

fn milliseconds(took: Option<Duration>) -> Option<f64> {
    took.map(|took| (took.as_secs_f64() * 1e5).round() / 100.0)
}

fn line(path: &Path, bytes: &[u8], result: &Result<Picture, Rejection>, took: Option<Duration>) -> String {
    let name = path.display();
    match result {
        Ok(picture) => {
            let variants: Vec<String> = picture
                .variants
                .iter()
                .map(|v| {
                    format!("{}×{} {DIM}{}{DIM:#}", v.width, v.height, ByteSize(v.bytes.len() as u64).display().si())
                })
                .collect();
            let took = milliseconds(took).map(|ms| format!("  {DIM}{ms:.1} ms{DIM:#}")).unwrap_or_default();
            format!(
                "{GOOD}taken{GOOD:#}    {name}  {} {}×{} {DIM}{}{DIM:#}  →  {}{took}",
                picture.media.name(),
                picture.width,
                picture.height,
                ByteSize(bytes.len() as u64).display().si(),
                variants.join("  ")
            )
        }
        Err(rejection) => format!("{BAD}refused{BAD:#}  {name}  {rejection} {DIM}({}){DIM:#}", rejection.code()),
    }
}

fn json(
    path: &Path,
    bytes: &[u8],
    plan: &Plan,
    limits: &Limits,
    result: &Result<Picture, Rejection>,
    took: Option<Duration>,
) -> Value {
    let (file, cpu_ms) = (path.display().to_string(), milliseconds(took));
    match result {
        Ok(picture) => json!({
            "file": file,
            "verdict": "taken",
            "type": picture.media.mime(),
            "width": picture.width,
            "height": picture.height,
            "bytes": bytes.len(),
            "memory": probe(bytes, limits).ok().map(|probe| probe.memory(plan)),
            "peak_memory": peak(),
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
            "verdict": "refused",
            "code": rejection.code(),
            "message": rejection.to_string(),
            "bytes": bytes.len(),
            "cpu_ms": cpu_ms,
        }),
    }
}

fn write(folder: &Path, path: &Path, picture: &Picture) -> anyhow::Result<()> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    for variant in &picture.variants {
        let file = format!("{name}-{}x{}.{}", variant.width, variant.height, variant.media.extension());
        let file = folder.join(file);
        fs::write(&file, &variant.bytes).with_context(|| format!("cannot write {}", file.display()))?;
    }
    Ok(())
}
